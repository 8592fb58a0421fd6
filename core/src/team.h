/* A team of threads that share the work of one run. */
#ifndef TEAM_H
#define TEAM_H

#include <stdatomic.h>

typedef struct Team Team;

/* Start a team of `threads` threads, including the caller. Returns NULL for 1 thread or if no thread can be started;
 * the caller then works alone. */
Team *new_team(int threads);
void free_team(Team *team);

/* Call `work(argument, part)` for every part from 0 to parts - 1, each on its own thread; part 0 runs on this thread.
 * Returns 0 if all parts are done, or -1 without running any part if the team cannot run them now (it is busy with
 * another caller, it has too few threads, or this is a forked process). */
int run_team(Team *team, int parts, void (*work)(void *argument, int part), void *argument);

/* Barrier: a part waits here until all parts of the run have arrived. */
typedef struct Barrier {
    atomic_int arrived, round;
} Barrier;

void wait_for_all(Barrier *barrier, int parts);

#endif
