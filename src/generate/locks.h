/*
 * What a request keeps: the arguments ROLE=FILE@A-B and ROLE@A-B, as stem locks per role.
 *
 * One idea: keeping is stated once, as spans of a file; regenerating a span keeps the rest.
 */
#ifndef RG_GENERATE_LOCKS_H
#define RG_GENERATE_LOCKS_H

#include "generate/scene.h"

/* What one role keeps. */
typedef struct rg_kept_role {
    bool has_file;     /* lock.pcm is loaded */
    bool whole;        /* all of a scene's stem: its file is copied */
    bool from_scene;   /* codes come from the scene */
    rg_stem_lock lock; /* of a --lock file, or of the scene's stem */
} rg_kept_role;

/* "ROLE" "ROLE@A-B": the role's number and seconds (0 and +infinity without a span). `whole` text
 * is only for messages. */
rg_status rg_parse_role_span(const char *text, const rg_track_config *config, int32_t *role,
                             double *start, double *end, rg_error *err) RG_MUST_USE;
/* "ROLE=REST": the role's number and where REST begins. */
rg_status rg_parse_role_value(const char *option, const char *text, const rg_track_config *config,
                              int32_t *role, const char **value, rg_error *err) RG_MUST_USE;

/* Loads one --lock argument into kept[role]; the same role twice is an error. */
rg_status rg_keep_file(rg_kept_role *kept, const rg_track_config *config, const char *argument,
                       int32_t *role, rg_error *err) RG_MUST_USE;
/* Keeps a role of a scene but for the given spans of seconds (n 0: all of it). */
rg_status rg_keep_from_scene(rg_kept_role *kept, const rg_scene *scene, int32_t role,
                             double (*made)[2], int32_t n, rg_error *err) RG_MUST_USE;
void rg_kept_free(rg_kept_role *kept, int32_t n);

#endif
