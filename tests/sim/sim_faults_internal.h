/* What the files of the faults share; sim_faults.c has the order in which they happen. Each fault
 * undoes itself by sim_fault_mend_in, and sim_faults_end undoes all. */
#ifndef CB_TESTS_SIM_SIM_FAULTS_INTERNAL_H
#define CB_TESTS_SIM_SIM_FAULTS_INTERNAL_H

#include "sim/sim.h"

#define SECONDS(n) ((uint64_t)(n)*CB_NS_PER_S)
#define MILLIS(n) ((uint64_t)(n)*CB_NS_PER_MS)
/* A connection whose other end takes nothing for longer is closed. */
#define HELD_MAX_NS MILLIS(800)

/* ---- sim_faults.c ---- */

/* Half of the time the leader. */
struct sim_node *sim_fault_any_node(struct sim *s);
struct sim_proxy *sim_fault_any_proxy(struct sim *s);
/* Calls `run` after that time, unless the end of all faults has undone it before. */
void sim_fault_mend_in(struct sim *s,
                       uint64_t ns,
                       void (*run)(struct sim *s, unsigned who, uint64_t what),
                       unsigned who,
                       uint64_t what);
/* Boots node `who`, if it is down and may come back. */
void sim_fault_boot(struct sim *s, unsigned who, uint64_t what);
/* It stays away for a while after the faults. */
void sim_fault_leave_down(struct sim_node *n);

/* ---- sim_faults_net.c ---- */

enum { SIM_CUT_OUT = 1, SIM_CUT_IN = 2, SIM_CUT_NODES_ALONE = 4 };

/* Nothing reaches that place, or leaves it, or both; of nodes alone, or of proxies too. */
void sim_fault_cut_for(struct sim *s, unsigned who, uint64_t how, uint64_t ns);
/* As when the switch between the nodes starts anew: nobody can win an election, and then each may,
 * the leader of before too. */
void sim_fault_switch_for(struct sim *s, uint64_t ns);
void sim_fault_links_changed(struct sim *s);
/* The network between nodes is as it should be, but for what is cut. */
void sim_fault_mend_loss(struct sim *s, unsigned who, uint64_t what);
void sim_fault_partition(struct sim *s);
void sim_fault_oneway(struct sim *s);
void sim_fault_lag(struct sim *s);
void sim_fault_loss(struct sim *s);
void sim_fault_late(struct sim *s);
void sim_fault_twice(struct sim *s);
void sim_fault_flip(struct sim *s);
void sim_fault_stranger(struct sim *s);
void sim_fault_cut(struct sim *s);
void sim_fault_gap(struct sim *s);

/* ---- sim_space.c ---- */

void sim_fault_disk_low(struct sim *s);

/* ---- sim_faults_moments.c ---- */

/* False: it was not up. */
bool sim_fault_crash_one_shortly(struct sim_node *n);
void sim_fault_crash_shortly(struct sim *s);
void sim_faults_plan_last_act(struct sim *s);

/* ---- sim_members_moments.c ---- */

/* Entries leave the leader. */
void sim_members_entries_sent(struct sim_node *leader);
/* Its log has a member that is to get what there is, and then a vote. */
void sim_members_joins(struct sim_node *leader);
/* A change has just gone into the leader's log. */
void sim_members_begun(struct sim_node *leader);
/* The leader is about to be asked to remove that member. */
void sim_members_remove_soon(struct sim_node *leader, uint64_t removed);
/* Two leaders change the members; other moments would spoil it. */
bool sim_members_are_two(const struct sim *s);
/* Leads after another whose change nobody else has, and is to be asked at once. */
bool sim_members_other_leads(const struct sim_node *leader);
/* Whom it is to remove, once; 0: whom it likes. */
uint64_t sim_members_other_change(struct sim_node *leader);

#endif
