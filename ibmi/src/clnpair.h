/*
 * clnpair.h - what jobs A and B of the helper say to each other.
 *
 * Binary, fixed length, over a socket pair of one machine: no conversion, no
 * parsing, one read() per message. A message is far smaller than the socket
 * buffer, so a write never waits for the other side.
 */
#ifndef CLNPAIR_H
#define CLNPAIR_H

#include <signal.h>
#include <qusrjobi.h>

#define PAIR_GO      'G'        /* A to B: do one commit */
#define PAIR_END     'E'        /* A to B: end */
#define PAIR_BEGAN   'B'        /* B to A: about to start the transaction */
#define PAIR_DONE    'D'        /* B to A: commit completed */
#define PAIR_FAILED  'F'        /* B to A: update or commit failed */

#define CANARY_LENGTH 16        /* record length of IBMICLONE/CLNCANARY */

typedef struct {
   int  ready;                  /* 1: trial commit done */
   int  trialMs;
   char id[8];                  /* message id when not ready */
   char job[32];                /* nnnnnn/USER/NAME */
} PairHello;

typedef struct {
   char      what;
   char      id[7];
   long long at;                /* epoch milliseconds */
} PairReport;

#endif
