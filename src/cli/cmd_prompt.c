/*
 * resonant prompt: what the analyzer understands of a text.
 */
#include <stdio.h>
#include <stdlib.h>

#include "cli/commands.h"
#include "music/prompt/prompt.h"

const rg_option rg_cmd_prompt_options[] = {
    {"json", NULL, "print JSON"},
    {"vocabulary", "FILE|DIR", "more words, as YAML (configs/vocabulary has the built-in ones)"},
    {0}};

static void print_findings(const rg_prompt *prompt)
{
    for (size_t i = 0; i < prompt->n; i++) {
        const rg_finding *f = prompt->findings + i;
        printf("%-12s %s%-20s from \"%s\"%s%s\n", f->field, f->unwanted ? "not " : "", f->value,
               f->source, f->role[0] ? ", for " : "", f->role);
    }
    for (size_t i = 0; i < RG_PROMPT_TRACKS; i++)
        if (prompt->tracks[i])
            printf("%-12s %s\n", rg_prompt_track(i), prompt->tracks[i] > 0 ? "wanted" : "unwanted");
    if (prompt->feel) printf("%-12s %s\n", "feel", prompt->feel);
    if (prompt->tempo <= 0 && prompt->usual_tempo > 0)
        printf("%-12s %g to %g, usual for the genre\n", "tempo", prompt->usual_low,
               prompt->usual_high);
    for (size_t i = 0; i < prompt->n_conflicts; i++)
        printf("conflict in %s: \"%s\" stands, \"%s\" does not\n", prompt->conflicts[i].field,
               prompt->conflicts[i].kept, prompt->conflicts[i].dropped);
    if (!prompt->n) printf("nothing understood\n");
    if (prompt->repaired[0]) printf("%-12s %s\n", "read as:", prompt->repaired);
    if (prompt->unknown[0]) printf("%-12s %s\n", "not known:", prompt->unknown);
}

static rg_status analyze(const rg_args *args, rg_prompt *prompt, rg_error *err)
{
    rg_vocabulary vocabulary;
    const char *file = rg_option_text(args, "vocabulary", NULL);
    if (!rg_vocabulary_make(&vocabulary)) return rg_fail(err, RG_ERR_NOMEM, "no memory for words");
    rg_status status = file ? rg_vocabulary_load(&vocabulary, file, err) : RG_OK;
    if (status == RG_OK) status = rg_prompt_analyze(rg_arg(args, 0), &vocabulary, prompt, err);
    rg_vocabulary_free(&vocabulary);
    return status;
}

rg_status rg_cmd_prompt(const rg_args *args, const rg_cli *cli, rg_error *err)
{
    (void)cli;
    rg_prompt prompt;
    RG_TRY(analyze(args, &prompt, err));
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
