/* For store/registry alone: connections, prepared statements, transactions. */
#ifndef GT_STORE_REGISTRY_REGISTRY_PRIV_H
#define GT_STORE_REGISTRY_REGISTRY_PRIV_H

#include "lib/base/table.h"
#include "store/registry/registry.h"

#include <pthread.h>
#include <sqlite3.h>

/* kind of a row in `reference` */
enum { REF_BLOB, REF_MANIFEST, REF_SUBJECT };

#define REGISTRY_STATEMENTS(X)                                                                     \
    X(BEGIN, "BEGIN IMMEDIATE")                                                                    \
    X(COMMIT, "COMMIT")                                                                            \
    X(ROLLBACK, "ROLLBACK")                                                                        \
    X(REPO_FIND, "SELECT id FROM repo WHERE rid = ?1")                                             \
    X(REPO_ADD, "INSERT INTO repo(rid) VALUES(?1)")                                                \
    X(REPO_ALL, "SELECT rid FROM repo ORDER BY rid")                                               \
    X(REPO_DROP, "DELETE FROM repo WHERE id = ?1")                                                 \
    X(REPO_DROP_TAGS, "DELETE FROM tag WHERE repo = ?1")                                           \
    X(REPO_DROP_REFERENCES, "DELETE FROM reference WHERE repo = ?1")                               \
    X(REPO_DROP_MANIFESTS, "DELETE FROM manifest WHERE repo = ?1")                                 \
    X(REPO_DROP_BLOBS, "DELETE FROM link WHERE repo = ?1")                                         \
    X(REPO_HAS_MANIFEST, "SELECT 1 FROM manifest WHERE repo = ?1 LIMIT 1")                         \
    X(LINK_PUT, "INSERT INTO link(repo, digest, size, linked_ms) VALUES(?1, ?2, ?3, ?4) "          \
                "ON CONFLICT DO UPDATE SET linked_ms = ?4")                                        \
    X(LINK_FIND, "SELECT size, linked_ms FROM link WHERE repo = ?1 AND digest = ?2")               \
    X(LINK_DROP, "DELETE FROM link WHERE repo = ?1 AND digest = ?2")                               \
    X(LINK_ANY, "SELECT 1 FROM link WHERE digest = ?1 LIMIT 1")                                    \
    X(LINK_EXPIRE, "DELETE FROM link WHERE linked_ms < ?1 AND NOT EXISTS (SELECT 1 FROM "          \
                   "reference r WHERE r.repo = link.repo AND r.target = link.digest "              \
                   "AND r.kind = 0)")                                                              \
    X(LINK_TOUCH_OF, "UPDATE link SET linked_ms = ?3 WHERE repo = ?1 AND digest IN (SELECT "       \
                     "target FROM reference WHERE repo = ?1 AND manifest = ?2 AND kind = 0)")      \
    X(MANIFEST_PUT, "INSERT INTO manifest(repo, digest, media_type, artifact_type, config_type, "  \
                    "size, image_size, pushed_ms, body) "                                          \
                    "VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT DO NOTHING")           \
    X(MANIFEST_FIND, "SELECT digest, media_type, artifact_type, config_type, size, image_size, "   \
                     "pushed_ms FROM manifest WHERE repo = ?1 AND digest = ?2")                    \
    X(MANIFEST_BODY, "SELECT digest, media_type, artifact_type, config_type, size, image_size, "   \
                     "pushed_ms, body FROM manifest WHERE repo = ?1 AND digest = ?2")              \
    X(MANIFEST_DROP, "DELETE FROM manifest WHERE repo = ?1 AND digest = ?2")                       \
    X(MANIFEST_LIST, "SELECT digest, media_type, artifact_type, config_type, size, image_size, "   \
                     "pushed_ms FROM manifest m WHERE repo = ?1 AND digest > ?2 AND (?3 = 0 OR "   \
                     "(?3 = 1) = EXISTS (SELECT 1 FROM tag t WHERE t.repo = m.repo AND "           \
                     "t.digest = m.digest)) ORDER BY digest LIMIT ?4")                             \
    X(REFERENCE_PUT, "INSERT INTO reference(repo, manifest, target, kind) "                        \
                     "VALUES(?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING")                              \
    X(REFERENCE_TO, "SELECT 1 FROM reference WHERE repo = ?1 AND target = ?2 AND kind = ?3 "       \
                    "LIMIT 1")                                                                     \
    X(REFERENCE_LIST, "SELECT m.digest, media_type, artifact_type, config_type, size, "            \
                      "image_size, pushed_ms FROM reference r JOIN manifest m ON m.repo = r.repo " \
                      "AND m.digest = r.manifest WHERE r.repo = ?1 AND r.target = ?2 AND "         \
                      "r.kind = ?3 AND r.manifest > ?4 ORDER BY r.manifest LIMIT ?5")              \
    X(REFERENCE_DROP, "DELETE FROM reference WHERE repo = ?1 AND manifest = ?2")                   \
    X(TAG_PUT, "INSERT INTO tag(repo, name, digest, tagged_ms) VALUES(?1, ?2, ?3, ?4) "            \
               "ON CONFLICT DO UPDATE SET digest = ?3, tagged_ms = ?4")                            \
    X(TAG_FIND, "SELECT digest FROM tag WHERE repo = ?1 AND name = ?2")                            \
    X(TAG_DROP, "DELETE FROM tag WHERE repo = ?1 AND name = ?2")                                   \
    X(TAG_DROP_OF, "DELETE FROM tag WHERE repo = ?1 AND digest = ?2")                              \
    X(TAG_COUNT, "SELECT count(*) FROM tag WHERE repo = ?1 AND digest = ?2")                       \
    X(TAG_LIST, "SELECT name FROM tag WHERE repo = ?1 AND name > ?2 ORDER BY name LIMIT ?3")       \
    X(TAG_OF, "SELECT name FROM tag WHERE repo = ?1 AND digest = ?2 ORDER BY name")

enum registry_sql {
#define X(name, text) SQL_##name,
    REGISTRY_STATEMENTS(X)
#undef X
        N_SQL
};

struct registry_conn {
    sqlite3 *db;
    sqlite3_stmt *st[N_SQL]; /* prepared when first used */
    struct registry_conn *next;
};

struct registry {
    char *path;
    struct blobs *blobs;
    pthread_mutex_t write_lock; /* of writer, sealed */
    struct registry_conn *writer;
    struct gt_table sealed; /* repositories under deletion; the value means nothing */
    pthread_mutex_t pool_lock;
    struct registry_conn *idle; /* for readers */
    pthread_mutex_t checkpoint_lock;
    struct registry_conn *checkpointer;
    int wal_pages; /* after the last commit */
};

/* A reader's connection, from the pool. */
int registry_reader(struct registry *r, struct registry_conn **ret, struct gt_err *err);
void registry_reader_done(struct registry *r, struct registry_conn *c);

/* The writer's connection with a transaction begun; the lock is held until registry_end(). */
int registry_begin(struct registry *r, struct registry_conn **ret, struct gt_err *err);
/* Commits when rc >= 0, rolls back otherwise. Returns rc, or < 0 when the commit did not work. */
int registry_end(struct registry *r, int rc, struct gt_err *err);

/* A statement that is reset and unbound. Aborts when the text is wrong. */
sqlite3_stmt *registry_sql(struct registry_conn *c, enum registry_sql which);
void registry_bind_str(sqlite3_stmt *st, int at, struct gt_str s);
void registry_bind_digest(sqlite3_stmt *st, int at, const struct oci_digest *d);
/* 1: a row, 0: none (the statement is reset), < 0 with err. */
int registry_step(struct registry_conn *c, sqlite3_stmt *st, struct gt_err *err);
/* Steps a statement that gives no rows: 0, or < 0 with err. */
int registry_run(struct registry_conn *c, sqlite3_stmt *st, struct gt_err *err);
/* Whether the statement gives a row; resets it. */
int registry_probe(struct registry_conn *c, sqlite3_stmt *st, struct gt_err *err);
struct gt_str registry_col_str(sqlite3_stmt *st, int at, struct gt_arena *arena);
int registry_col_digest(sqlite3_stmt *st, int at, struct oci_digest *ret);

/* The row of a repository: 1 with *ret_id, 0 when there is none, < 0. */
int registry_repo_id(struct registry_conn *c, struct gt_str repo, int64_t *ret_id,
                     struct gt_err *err);
/* The same for a writer, who makes it. -ESTALE when it is sealed. */
int registry_repo_make(struct registry *r, struct registry_conn *c, struct gt_str repo,
                       int64_t *ret_id, struct gt_err *err);

/* Within a transaction. -ENOENT. */
int registry_tag_resolve(struct registry_conn *c, int64_t repo, struct gt_str tag,
                         struct oci_digest *ret, struct gt_err *err);
/* Within a writer's. -ENOENT, -EBUSY. */
int registry_manifest_drop(struct registry_conn *c, struct gt_str repo, const struct oci_digest *d,
                           int64_t now_ms, struct gt_err *err);

#endif
