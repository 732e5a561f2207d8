/*
 * secrecy: keeps this process's memory, with the secrets in it, to itself.
 *
 *     int main(void)
 *     {
 *         secrecy_setup();
 *         ...
 *
 * From then on no signal makes a core dump, neither as a file nor for a program
 * that the system hands dumps to, and nobody but root can trace the process or read
 * its memory and environment in /proc, not even its own user. (To debug it, run the debugger
 * as root, or start the program under it.) A child that is forked inherits
 * this, a program that is executed does not. Nobody can undo it but by changing the
 * program. Before other threads start.
 */
#ifndef PRGATE_SECRECY_H
#define PRGATE_SECRECY_H

void secrecy_setup(void);

#endif
