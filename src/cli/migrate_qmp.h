/* SPDX-License-Identifier: Apache-2.0 */
/*
 * migrate_qmp.h - moving the VM, for qmp_machine_ops; and what goes with it.
 *
 * Main.
 */
#ifndef CLI_MIGRATE_QMP_H
#define CLI_MIGRATE_QMP_H

#include "migrate/migration.h"

#include <stdbool.h>

struct err;
struct loop;
struct machine_qmp;

/*
 * What can be moved away, and with ended what is waited for: ended() is told what has
 * become of it (migrate/incoming.h).
 */
int migrate_qmp_init(struct machine_qmp *mq, struct loop *loop,
		     void (*ended)(struct machine_qmp *mq, int r, const struct err *err),
		     struct err *err);
void migrate_qmp_fini(struct machine_qmp *mq);

/* ctx is a struct machine_qmp. */
int migrate_qmp_start(void *ctx, const char *uri, bool resume, struct err *err);
int migrate_qmp_cancel(void *ctx, struct err *err);
int migrate_qmp_postcopy(void *ctx, struct err *err);
int migrate_qmp_take_back(void *ctx, struct err *err);
int migrate_qmp_incoming(void *ctx, const char *uri, struct err *err);
const struct migration_parameters *migrate_qmp_parameters(void *ctx);
int migrate_qmp_set_parameters(void *ctx, const struct migration_parameters *parameters,
			       struct err *err);
struct migration_info migrate_qmp_info(void *ctx);
const char *migrate_qmp_address(void *ctx);
int migrate_qmp_check(void *ctx, struct err *err);

#endif
