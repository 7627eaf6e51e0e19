#include "guard/spf_view.h"

static void add_result(struct json_object *list, const struct spf_host *host)
{
    struct json_object *result = json_object_new_object();
    json_add_string(result, "ip", host->ip);
    json_add_string(result, "result", spf_result_names[host->verdict.result]);
    json_add_string(result, "term", host->verdict.term);
    json_add_string(result, "record", host->verdict.domain);
    json_add_string(result, "problem", spf_problem_names[host->verdict.problem]);
    json_object_array_add(list, result);
}

static const char *first_problem(const struct spf_hosts *hosts)
{
    size_t i = 0;
    while (i < hosts->count && hosts->hosts[i].verdict.problem == SPF_NO_PROBLEM)
        i++;
    return i < hosts->count ? spf_problem_names[hosts->hosts[i].verdict.problem] : NULL;
}

struct json_object *spf_view(const struct spf_hosts *hosts)
{
    struct json_object *view = json_object_new_object();
    json_add_string(view, "domain", hosts->domain);
    struct json_object *results = json_add_list(view, "results");
    for (size_t i = 0; i < hosts->count; i++)
        add_result(results, &hosts->hosts[i]);
    if (hosts->names_us < 0)
        json_add_null(view, "names_us");
    else
        json_add_bool(view, "names_us", hosts->names_us == 1);
    if (hosts->names_us == 0) {
        json_add_string(view, "advice_kind", spf_advice_names[hosts->advice]);
        json_add_string(view, "terms", hosts->terms);
        json_add_string(view, "advice_term", hosts->term);
        json_add_string(view, "advice_record", hosts->where);
        json_add_string(view, "problem", first_problem(hosts));
    }
    return view;
}

int64_t spf_view_refused_ms(struct json_object *view)
{
    int64_t notice_ms = json_int(view, "notice", 0), open_ms = json_int(view, "open", 0);
    if (notice_ms == 0)
        return 0;
    return notice_ms + SPF_VIEW_NOTICE_MS > open_ms ? notice_ms + SPF_VIEW_NOTICE_MS : open_ms;
}

struct json_object *spf_view_advice(struct json_object *view)
{
    static const char *const members[] = {"domain",      "advice_kind",   "terms",
                                          "advice_term", "advice_record", "problem"};
    struct json_object *advice = json_object_new_object();
    for (size_t i = 0; i < countof(members); i++)
        json_object_object_add(advice, members[i], json_object_get(json_member(view, members[i])));
    return advice;
}

static void add_problem(struct json_object *of, const struct catalogue *catalogue,
                        struct arena *arena, const char *language)
{
    const char *problem = json_string(of, "problem", NULL);
    if (problem != NULL)
        json_add_string(of, "problem_text",
                        catalogue_text(catalogue, arena, language,
                                       arena_printf(arena, "spf.problem.%s", problem), NULL));
}

void spf_view_add_words(struct json_object *view, const struct catalogue *catalogue,
                        struct arena *arena, const char *language)
{
    struct json_object *results = json_member(view, "results");
    const char *kind = json_string(view, "advice_kind", NULL);
    for (size_t i = 0; results != NULL && i < json_object_array_length(results); i++)
        add_problem(json_object_array_get_idx(results, i), catalogue, arena, language);
    add_problem(view, catalogue, arena, language);
    json_add_string(view, "advice",
                    kind != NULL ? catalogue_text(catalogue, arena, language,
                                                  arena_printf(arena, "spf.advice.%s", kind), view)
                                 : NULL);
}
