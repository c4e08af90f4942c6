/*
 * space.h - the user space IBMICLONE/CLNWDOG, CONTRACT.md section 4.
 *
 * Characters only, because the other side is CL: QUSCHGUS and QUSRTVUS with
 * the offsets of this structure (plus 1). Whoever changes one changes both.
 */
#ifndef SPACE_H
#define SPACE_H

typedef struct {
   char state[10];      /* WDSTATE   offset   0 */
   char token[32];      /* WDTOKEN   offset  10 */
   char beats[10];      /* WDBEATS   offset  42 */
   char remain[10];     /* WDREMAIN  offset  52 */
   char job[28];        /* WDJOB     offset  62 */
   char order[10];      /* WDORDER   offset  90 */
   char resumed[10];    /* WDRESUMED offset 100 */
   char text[80];       /* WDTEXT    offset 110 */
   char asps[400];      /* WDASPS    offset 190 */
} Space;

/* Found by HELLO, before any window. */
extern volatile Space *space;

#endif
