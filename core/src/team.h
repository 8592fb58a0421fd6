/* Threads that work on one run together. */
#ifndef TEAM_H
#define TEAM_H

#include <stdatomic.h>

typedef struct Team Team;

/* Start a team of `threads`, including the caller. Returns NULL for 1 thread, and if no thread can be started: the
 * caller then works alone. */
Team *new_team(int threads);
void free_team(Team *team);

/* Call `work(argument, part)` for every part from 0 to parts - 1, each on a thread of its own, part 0 on this one.
 * Returns 0; or -1, with nothing done, if the team is working for another caller. */
int run_team(Team *team, int parts, void (*work)(void *argument, int part), void *argument);

/* Barrier: the parts of one run wait for each other. */
typedef struct Barrier {
    atomic_int arrived, round;
} Barrier;

void wait_for_all(Barrier *barrier, int parts);

#endif
