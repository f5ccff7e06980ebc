/*
 * resonant prompt: what the analyzer understands of a text.
 */
#include <stdio.h>
#include <stdlib.h>

#include "cli/commands.h"
#include "music/prompt/prompt.h"

const rg_option rg_cmd_prompt_options[] = {{"json", NULL, "print JSON"}, {0}};

static void print_findings(const rg_prompt *prompt)
{
    for (size_t i = 0; i < prompt->n; i++) {
        const rg_finding *f = prompt->findings + i;
        printf("%-12s %-20s from \"%s\"%s%s\n", f->field, f->value, f->source,
               f->role[0] ? ", played by " : "", f->role);
    }
    if (!prompt->n) printf("nothing understood\n");
    if (prompt->unknown[0]) printf("%-12s %s\n", "not known:", prompt->unknown);
}

rg_status rg_cmd_prompt(const rg_args *args, const rg_cli *cli, rg_error *err)
{
    (void)cli;
    rg_vocabulary vocabulary;
    rg_prompt prompt;
    if (!rg_vocabulary_make(&vocabulary)) return rg_fail(err, RG_ERR_NOMEM, "no memory for words");
    rg_status status = rg_prompt_analyze(rg_arg(args, 0), &vocabulary, &prompt, err);
    rg_vocabulary_free(&vocabulary);
    RG_TRY(status);
    if (!rg_option_given(args, "json")) {
        print_findings(&prompt);
        return RG_OK;
    }
    json_t *object = rg_prompt_to_json(&prompt);
    char *text = json_dumps(object, JSON_INDENT(2));
    json_decref(object);
    if (!text) return rg_fail(err, RG_ERR_NOMEM, "no memory for JSON");
    puts(text);
    free(text);
    return RG_OK;
}
