/* Who belongs to a cluster, and how an operator changes that: `coolbeans members`, `add`, `remove`,
 * `replace`, `transfer-leader`.
 *
 * Each command looks for the leader, asks it (Cluster.Change), and asks again while the leader is
 * busy or has changed: what it asks for is so, or not, whatever was lost on the way.
 * Owns:     nothing.
 * Threads:  one; a command blocks until it is done.
 * Errors:   exit status 1 and a sentence; 2: of the command line. */
#ifndef CB_CTL_CTL_MEMBERS_H
#define CB_CTL_CTL_MEMBERS_H

int ctl_members_main(int argc, char **argv);
int ctl_add_main(int argc, char **argv);
int ctl_remove_main(int argc, char **argv);
int ctl_replace_main(int argc, char **argv);
int ctl_transfer_main(int argc, char **argv);

#endif
