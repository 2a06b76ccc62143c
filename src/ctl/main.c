/* coolbeans: the command-line tool. */
#include <stdio.h>
#include <string.h>

#include "ctl/ctl_dev.h"
#include "ctl/ctl_members.h"
#include "ctl/ctl_status.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} commands[] = {
    {"dev", ctl_dev_main, "run a cluster on this machine, for development and trials"},
    {"status", ctl_status_main, "show the members of a cluster and what it survives"},
    {"members", ctl_members_main, "show who belongs to a cluster"},
    {"add", ctl_add_main, "add a node to a cluster"},
    {"remove", ctl_remove_main, "remove a member from it"},
    {"replace", ctl_replace_main, "put a new node in a member's place"},
    {"transfer-leader", ctl_transfer_main, "let another member lead"},
};

#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void usage(FILE *out)
{
    fputs("usage: coolbeans COMMAND [OPTIONS]\n\n", out);
    for (size_t i = 0; i < N_COMMANDS; i++) {
        fprintf(out, "  %-16s %s\n", commands[i].name, commands[i].help);
    }
    fputs("\n'coolbeans COMMAND --help' says more. 'coolbeans --version' names the version.\n",
          out);
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        usage(stdout);
        return 0;
    }
    if (strcmp(name, "--version") == 0) {
        puts("coolbeans " CB_VERSION);
        return 0;
    }
    for (size_t i = 0; i < N_COMMANDS; i++) {
        if (strcmp(name, commands[i].name) == 0) {
            return commands[i].run(argc - 1, argv + 1);
        }
    }
    if (name[0] != '\0') {
        fprintf(stderr,
                "coolbeans: there is no command '%s'; 'coolbeans --help' shows those that are\n",
                name);
    } else {
        usage(stderr);
    }
    return 2;
}
