#include "team.h"

#include "os_threads.h"

#include <stdlib.h>
#if !defined(_WIN32)
#include <sched.h>
#include <unistd.h>
#endif

/* How often a waiting thread checks whether it can continue before it yields or sleeps: about 20 microseconds. */
enum { SPINS = 2000 };

/* The work of one run. */
typedef struct Task {
    unsigned round;
    int parts;
    void (*work)(void *argument, int part);
    void *argument;
} Task;

struct Team {
    int threads, process;
    Lock lock;     /* protects all members below */
    Signal signal; /* there is new work, or the team ends */
    int busy, ending;
    Task task;        /* of the current run, or of the last one */
    atomic_uint round; /* copy of `task.round` that can be read without the lock */
    atomic_int left; /* number of unfinished parts */
    struct Member {
        Thread thread;
        Team *team;
        int part;
    } member[];
};

static void pause_briefly(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void let_others_run(void) {
#if defined(_WIN32)
    SwitchToThread();
#else
    sched_yield();
#endif
}

static int this_process(void) {
#if defined(_WIN32)
    return 0;
#else
    return (int)getpid();
#endif
}

void wait_for_all(Barrier *barrier, int parts) {
    if (parts == 1) return;
    const int round = atomic_load_explicit(&barrier->round, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&barrier->arrived, 1, memory_order_acq_rel) == parts - 1) {
        atomic_store_explicit(&barrier->arrived, 0, memory_order_relaxed);
        atomic_store_explicit(&barrier->round, round + 1, memory_order_release);
        return;
    }
    for (int spins = 0; atomic_load_explicit(&barrier->round, memory_order_acquire) == round; spins++)
        if (spins < SPINS) pause_briefly();
        else let_others_run();
}

/* Wait for the run after `round` and copy its task. The copy is made under the lock, so that a thread that missed one
 * run gets the complete task of the next one. Returns 0 if the team ends. */
static int next_task(Team *team, unsigned round, Task *task) {
    for (int spins = 0; spins < SPINS; spins++) {
        if (atomic_load_explicit(&team->round, memory_order_acquire) != round) break;
        pause_briefly();
    }
    lock(&team->lock);
    while (!team->ending && team->task.round == round) signal_wait(&team->signal, &team->lock);
    *task = team->task;
    int more = !team->ending;
    unlock(&team->lock);
    return more;
}

static void serve(void *argument) {
    struct Member *member = argument;
    Team *team = member->team;
    for (Task task = {0, 0, NULL, NULL}; next_task(team, task.round, &task);) {
        if (member->part >= task.parts) continue;
        task.work(task.argument, member->part);
        atomic_fetch_sub_explicit(&team->left, 1, memory_order_release);
    }
}

Team *new_team(int threads) {
    if (threads < 2) return NULL;
    Team *team = calloc(1, sizeof *team + (size_t)threads * sizeof(struct Member));
    if (!team) return NULL;
    lock_init(&team->lock);
    signal_init(&team->signal);
    team->threads = 1;
    team->process = this_process();
    for (int part = 1; part < threads; part++) {
        struct Member *member = &team->member[part];
        member->team = team;
        member->part = part;
        if (thread_start(&member->thread, serve, member)) break;
        team->threads++;
    }
    return team;
}

void free_team(Team *team) {
    if (!team) return;
    /* A forked child process has a copy of its parent's memory, but not its threads. */
    if (team->process == this_process()) {
        lock(&team->lock);
        team->ending = 1;
        signal_all(&team->signal);
        unlock(&team->lock);
        for (int part = 1; part < team->threads; part++) thread_join(&team->member[part].thread);
    }
    signal_free(&team->signal);
    lock_free(&team->lock);
    free(team);
}

int run_team(Team *team, int parts, void (*work)(void *argument, int part), void *argument) {
    if (!team || parts > team->threads || team->process != this_process()) return -1;
    lock(&team->lock);
    if (team->busy) {
        unlock(&team->lock);
        return -1;
    }
    team->busy = 1;
    atomic_store(&team->left, parts - 1);
    team->task = (Task){team->task.round + 1, parts, work, argument};
    atomic_store_explicit(&team->round, team->task.round, memory_order_release);
    signal_all(&team->signal);
    unlock(&team->lock);
    work(argument, 0);
    for (int spins = 0; atomic_load_explicit(&team->left, memory_order_acquire); spins++)
        if (spins < SPINS) pause_briefly();
        else let_others_run();
    lock(&team->lock);
    team->busy = 0;
    unlock(&team->lock);
    return 0;
}
