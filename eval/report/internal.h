/*
 * What the files of eval/report share.
 */
#ifndef RG_EVAL_REPORT_INTERNAL_H
#define RG_EVAL_REPORT_INTERNAL_H

#include "eval/report/report.h"

enum {
    MAX_SECTIONS = 16,
    MAX_TABLES = 96,
    MAX_COLUMNS = 24,
    MAX_ROWS = 128,
    REPORT_PATH = 1024,
    BODY_LIMIT = 96 << 20
};

typedef struct column {
    char id[40], title[48], unit[16];
    rg_direction direction;
    int32_t decimals;
} column;

typedef enum cell_kind { CELL_EMPTY, CELL_NUMBER, CELL_TEXT } cell_kind;

typedef struct cell {
    cell_kind kind;
    rg_interval value;
    char text[80];
    bool marked;
    rg_verdict mark;
} cell;

typedef struct row {
    rg_row_kind kind;
    char label[80];
    cell cells[MAX_COLUMNS];
} row;

struct rg_table {
    char id[48], caption[768];
    int32_t n_columns, n_rows;
    column columns[MAX_COLUMNS];
    row *rows; /* MAX_ROWS */
};

/* A section's HTML is text with tables between: `break_at[i]` is where tables[i] stands. */
typedef struct section {
    char id[32], title[80];
    rg_text verdicts; /* stand above everything else */
    rg_text body;
    int32_t n_tables;
    size_t break_at[MAX_TABLES];
    rg_table *tables[MAX_TABLES];
    bool in_figures;
} section;

struct rg_report {
    char folder[REPORT_PATH], title[160];
    int32_t n_sections, current, n_sounds;
    section *sections; /* MAX_SECTIONS */
    json_t *facts, *verdicts;
    rg_text details, items;
    size_t embedded; /* bytes of sound in the page so far */
    rg_error error;  /* the first one; told by rg_report_finish */
};

section *rg__section(rg_report *report);
/* Ends a row of figures, so that what follows stands below it. */
void rg__end_figures(section *s);

void rg__table_html(const rg_table *table, rg_text *out);
void rg__table_markdown(const rg_table *table, rg_text *out);
void rg__table_csv(const rg_table *table, rg_text *out);
json_t *rg__table_json(const rg_table *table);

/* The style sheet and the script of the page. */
extern const char *const rg__page_style[], *const rg__page_script[];

#endif
