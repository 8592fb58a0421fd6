/* Threads of the operating system: locks, signals between threads, start and join. POSIX and Windows. */
#ifndef OS_THREADS_H
#define OS_THREADS_H

/* Lock: a mutex. Only one thread at a time is between `lock` and `unlock`.
 * Signal: a condition variable. Threads that hold a lock wait until another thread wakes all of them. A wait may also
 * end without a signal, so wait in a loop that checks the condition.
 * Thread: runs a function once; the structure must not move before `thread_join`.
 *
 *     lock(&pool->lock);
 *     while (!pool->work) signal_wait(&pool->signal, &pool->lock);
 *     unlock(&pool->lock);
 */

#if defined(_WIN32)
#define WIN32_LEAN_AND_MEAN
#include <windows.h>

typedef SRWLOCK Lock;
typedef CONDITION_VARIABLE Signal;
typedef struct Thread {
    void (*run)(void *argument);
    void *argument;
    HANDLE handle;
} Thread;

static inline void lock_init(Lock *l) { InitializeSRWLock(l); }
static inline void lock(Lock *l) { AcquireSRWLockExclusive(l); }
static inline void unlock(Lock *l) { ReleaseSRWLockExclusive(l); }
static inline void lock_free(Lock *l) { (void)l; }

static inline void signal_init(Signal *s) { InitializeConditionVariable(s); }
static inline void signal_wait(Signal *s, Lock *held) { SleepConditionVariableSRW(s, held, INFINITE, 0); }
static inline void signal_all(Signal *s) { WakeAllConditionVariable(s); }
static inline void signal_free(Signal *s) { (void)s; }

static inline DWORD WINAPI thread_main(void *thread) {
    Thread *t = thread;
    t->run(t->argument);
    return 0;
}

/* Returns 0, or -1: the system has no thread left. */
static inline int thread_start(Thread *t, void (*run)(void *argument), void *argument) {
    t->run = run;
    t->argument = argument;
    t->handle = CreateThread(NULL, 0, thread_main, t, 0, NULL);
    return t->handle ? 0 : -1;
}

static inline void thread_join(Thread *t) {
    WaitForSingleObject(t->handle, INFINITE);
    CloseHandle(t->handle);
}

#else
#include <pthread.h>

typedef pthread_mutex_t Lock;
typedef pthread_cond_t Signal;
typedef struct Thread {
    void (*run)(void *argument);
    void *argument;
    pthread_t handle;
} Thread;

static inline void lock_init(Lock *l) { pthread_mutex_init(l, NULL); }
static inline void lock(Lock *l) { pthread_mutex_lock(l); }
static inline void unlock(Lock *l) { pthread_mutex_unlock(l); }
static inline void lock_free(Lock *l) { pthread_mutex_destroy(l); }

static inline void signal_init(Signal *s) { pthread_cond_init(s, NULL); }
static inline void signal_wait(Signal *s, Lock *held) { pthread_cond_wait(s, held); }
static inline void signal_all(Signal *s) { pthread_cond_broadcast(s); }
static inline void signal_free(Signal *s) { pthread_cond_destroy(s); }

static inline void *thread_main(void *thread) {
    Thread *t = thread;
    t->run(t->argument);
    return NULL;
}

/* Returns 0, or -1: the system has no thread left. */
static inline int thread_start(Thread *t, void (*run)(void *argument), void *argument) {
    t->run = run;
    t->argument = argument;
    return pthread_create(&t->handle, NULL, thread_main, t) ? -1 : 0;
}

static inline void thread_join(Thread *t) { pthread_join(t->handle, NULL); }
#endif

#endif
