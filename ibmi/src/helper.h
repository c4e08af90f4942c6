/*
 * helper.h - the parts of HELPER: the loop and CHGASPACT (helper.c),
 * HELLO and job B (hellojob.c), the watchdog (helpdog.c). Three modules,
 * one program.
 */
#ifndef HELPER_H
#define HELPER_H

#include <except.h>
#include <stddef.h>

/* Message to the job log, or to QSYSOPR. */
void helperSay(const char *id, const char *data, int operator);

/* Starts job B when wanted, reads the identity, finds the watchdog's space.
   Fills the answer of HELLO, or the id of the refusal. */
int helperHello(char *rest, int withCanary, char id[8]);

int  canaryStart(char id[8]);
/* 1 pending, 0 not, -1 job B is gone. */
int  canaryState(char *rest, long long born, char id[8]);
void canaryEnd(void);

int  watchdogArm(const char *token, const char *seconds, const char *asps,
                 char *rest, char id[8]);
void watchdogState(char *rest);
int  watchdogDisarm(char *rest, char id[8]);
int  watchdogAlive(const char *token);
int  watchdogRemaining(void);

int validAsp(const char *asp);
int validAspList(const char *asps);
int validToken(const char *token);
int allDigits(const char *text);

#endif
