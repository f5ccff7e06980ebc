/*
 * libyaml events -> node tree (yaml.h).
 *
 * One idea: a stack of open maps and lists; each event adds a node to the top of it.
 */
#include "base/yaml.h"

#include <string.h>
#include <yaml.h>

typedef struct builder {
    rg_arena *arena;
    const char *text, *name;
    size_t n;
    rg_error *err;
    rg_yaml_node *root, *stack[RG_YAML_DEPTH];
    int depth;
    size_t nodes;
    const char *key; /* read, its value still to come */
    yaml_mark_t key_mark;
    bool finished;
} builder;

static rg_status fault(builder *b, yaml_mark_t at, const char *what)
{
    return rg_fail(b->err, RG_ERR_CONFIG, "%s:%zu:%zu: %s", b->name, at.line + 1, at.column + 1,
                   what);
}

static rg_status no_memory(builder *b)
{
    return rg_fail(b->err, RG_ERR_NOMEM, "%s: out of memory while reading YAML", b->name);
}

static char *keep_text(builder *b, const yaml_event_t *event)
{
    size_t n = event->data.scalar.length;
    char *text = rg_arena_alloc(b->arena, n + 1);
    if (!text) return NULL;
    memcpy(text, event->data.scalar.value, n);
    text[n] = 0;
    return text;
}

static rg_status add_key(builder *b, const yaml_event_t *event)
{
    const rg_yaml_node *map = b->stack[b->depth - 1];
    char *key = keep_text(b, event);
    if (!key) return no_memory(b);
    const rg_yaml_node *same = rg_yaml_member(map, key);
    if (same)
        return rg_fail(
            b->err, RG_ERR_CONFIG, "%s:%zu:%zu: '%.64s' is given twice, first in line %d", b->name,
            event->start_mark.line + 1, event->start_mark.column + 1, key, same->key_line);
    b->key = key;
    b->key_mark = event->start_mark;
    return RG_OK;
}

static rg_yaml_node *add_node(builder *b, rg_yaml_kind kind, yaml_mark_t at)
{
    if (++b->nodes > RG_YAML_NODES) {
        fault(b, at, "more than 4096 values");
        return NULL;
    }
    rg_yaml_node *node = rg_arena_zalloc(b->arena, sizeof *node);
    if (!node) {
        no_memory(b);
        return NULL;
    }
    node->kind = kind;
    node->line = (int)at.line + 1;
    node->column = (int)at.column + 1;
    if (b->depth == 0) {
        b->root = node;
        return node;
    }
    rg_yaml_node *parent = b->stack[b->depth - 1];
    if (parent->kind == RG_YAML_MAP) {
        node->key = b->key;
        node->key_line = (int)b->key_mark.line + 1;
        node->key_column = (int)b->key_mark.column + 1;
        b->key = NULL;
    }
    if (parent->last)
        parent->last->next = node;
    else
        parent->first = node;
    parent->last = node;
    parent->count++;
    return node;
}

static bool wants_key(const builder *b)
{
    return b->depth > 0 && b->stack[b->depth - 1]->kind == RG_YAML_MAP && !b->key;
}

static rg_status on_scalar(builder *b, const yaml_event_t *event)
{
    if (event->data.scalar.anchor) return fault(b, event->start_mark, "anchors are not supported");
    if (event->data.scalar.tag) return fault(b, event->start_mark, "tags are not supported");
    if (memchr(event->data.scalar.value, 0, event->data.scalar.length))
        return fault(b, event->start_mark, "a text with a zero byte");
    if (wants_key(b)) return add_key(b, event);
    rg_yaml_node *node = add_node(b, RG_YAML_SCALAR, event->start_mark);
    if (!node) return b->err->code;
    node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    node->text = keep_text(b, event);
    return node->text ? RG_OK : no_memory(b);
}

static rg_status open_node(builder *b, const yaml_event_t *event, rg_yaml_kind kind)
{
    bool map = kind == RG_YAML_MAP;
    const void *anchor = map ? event->data.mapping_start.anchor : event->data.sequence_start.anchor;
    const void *tag = map ? event->data.mapping_start.tag : event->data.sequence_start.tag;
    if (anchor) return fault(b, event->start_mark, "anchors are not supported");
    if (tag) return fault(b, event->start_mark, "tags are not supported");
    if (wants_key(b)) return fault(b, event->start_mark, "a key must be a plain text");
    if (b->depth == RG_YAML_DEPTH)
        return fault(b, event->start_mark, "values are nested more than 16 deep");
    rg_yaml_node *node = add_node(b, kind, event->start_mark);
    if (!node) return b->err->code;
    b->stack[b->depth++] = node;
    return RG_OK;
}

static rg_status on_event(builder *b, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        return on_scalar(b, event);
    case YAML_SEQUENCE_START_EVENT:
        return open_node(b, event, RG_YAML_LIST);
    case YAML_MAPPING_START_EVENT:
        return open_node(b, event, RG_YAML_MAP);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        b->depth--;
        return RG_OK;
    case YAML_ALIAS_EVENT:
        return fault(b, event->start_mark, "aliases are not supported");
    case YAML_DOCUMENT_START_EVENT:
        if (b->root) return fault(b, event->start_mark, "a second document in the file");
        return RG_OK;
    case YAML_STREAM_END_EVENT:
        b->finished = true;
        return RG_OK;
    default:
        return RG_OK;
    }
}

static yaml_mark_t mark_of_byte(const builder *b, size_t offset)
{
    yaml_mark_t at = {0};
    for (size_t i = 0; i < offset && i < b->n; i++) {
        at.column++;
        if (b->text[i] != '\n') continue;
        at.line++;
        at.column = 0;
    }
    return at;
}

static rg_status parser_fault(builder *b, const yaml_parser_t *parser)
{
    if (parser->error == YAML_MEMORY_ERROR) return no_memory(b);
    yaml_mark_t at = parser->problem_mark;
    const char *problem = parser->problem ? parser->problem : "malformed YAML";
    if (parser->error == YAML_READER_ERROR) /* it reads ahead, so only the byte is known */
        at = mark_of_byte(b, parser->problem_offset);
    const char *context = parser->context ? parser->context : "";
    return rg_fail(b->err, RG_ERR_CONFIG, "%s:%zu:%zu: %s%s%s", b->name, at.line + 1, at.column + 1,
                   context, context[0] ? ": " : "", problem);
}

static rg_status build(builder *b, yaml_parser_t *parser)
{
    while (!b->finished) {
        yaml_event_t event;
        if (!yaml_parser_parse(parser, &event)) return parser_fault(b, parser);
        rg_status status = on_event(b, &event);
        yaml_event_delete(&event);
        RG_TRY(status);
    }
    if (b->root) return RG_OK;
    return add_node(b, RG_YAML_MAP, (yaml_mark_t){0}) ? RG_OK : RG_ERR_NOMEM;
}

rg_yaml_node *rg_yaml_parse(rg_arena *arena, const char *text, size_t n, const char *name,
                            rg_error *err)
{
    rg_error local = {0};
    if (!err) err = &local;
    builder b = {.arena = arena, .text = text, .n = n, .name = name, .err = err};
    if (n > RG_YAML_BYTES) {
        rg_fail(err, RG_ERR_CONFIG, "%s: larger than 1 MiB", name);
        return NULL;
    }
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser)) {
        no_memory(&b);
        return NULL;
    }
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, n);
    rg_status status = build(&b, &parser);
    yaml_parser_delete(&parser);
    return status == RG_OK ? b.root : NULL;
}

const rg_yaml_node *rg_yaml_member(const rg_yaml_node *map, const char *key)
{
    for (const rg_yaml_node *n = map->kind == RG_YAML_MAP ? map->first : NULL; n; n = n->next)
        if (strcmp(n->key, key) == 0) return n;
    return NULL;
}

bool rg_yaml_is_null(const rg_yaml_node *node)
{
    if (node->kind != RG_YAML_SCALAR || node->quoted) return false;
    return !node->text[0] || strcmp(node->text, "~") == 0 || strcmp(node->text, "null") == 0;
}
