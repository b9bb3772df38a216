//! One file per page: its view, its handler, and the pure functions that make the one from what the store knows.

pub(crate) mod api_docs;
pub(crate) mod audit;
pub(crate) mod channel;
pub(crate) mod channels;
pub(crate) mod checkpoint;
pub(crate) mod checkpoint_branch;
pub(crate) mod checkpoint_standing;
pub(crate) mod compare;
pub(crate) mod compare_samples;
pub(crate) mod corpora;
pub(crate) mod corpus;
mod curve_rows;
pub(crate) mod error;
pub(crate) mod evaluation;
mod evaluation_tries;
pub(crate) mod launch;
pub(crate) mod leaderboard;
pub(crate) mod login;
pub(crate) mod login_command;
pub(crate) mod overview;
pub(crate) mod policies;
pub(crate) mod queue;
pub(crate) mod queue_launches;
pub(crate) mod release;
pub(crate) mod release_claims;
pub(crate) mod releases;
pub(crate) mod run;
pub(crate) mod run_cleanup;
pub(crate) mod run_event;
pub(crate) mod run_new;
pub(crate) mod run_plan;
pub(crate) mod runs;
pub(crate) mod samples;
pub(crate) mod search;
pub(crate) mod settings;
pub(crate) mod webhook;
pub(crate) mod webhook_events;
pub(crate) mod webhooks;

mod api_schema;
mod axis;

mod card;
mod compare_curves;
mod compare_figures;
mod compare_scaling;
mod compare_table;
mod corpora_mix;
mod drawn;
mod findings;
mod item;
mod lineage_view;
mod overview_told;
mod parts;
mod release_changes;
mod release_form;
mod release_history;
mod release_more;
mod release_steps;
mod release_view;
mod review;
mod run_checkpoints;
mod run_curves;
mod run_data;
mod run_events;
mod run_load;
mod run_log;
mod run_readouts;
mod run_scores;
mod run_sheet;
mod run_tree;
mod schedule;
mod scored;
mod site;
mod task_rows;

pub(crate) use parts::When;

#[cfg(test)]
pub(crate) mod fixtures;

#[cfg(test)]
mod tests {
    use sekisho_domain::Language;

    use super::*;
    use crate::web::frame::Frame;

    /// Every page in its states: with data, empty, refused.
    fn samples_of(frame: &Frame) -> Vec<String> {
        [
            api_docs::samples(frame),
            audit::samples(frame),
            channel::samples(frame),
            channels::samples(frame),
            checkpoint::samples(frame),
            checkpoint_branch::samples(frame),
            compare::samples(frame),
            compare_samples::samples(frame),
            corpora::samples(frame),
            corpus::samples(frame),
            launch::samples(frame),
            error::samples(frame),
            evaluation::samples(frame),
            leaderboard::samples(frame),
            login::samples(frame),
            login_command::samples(frame),
            overview::samples(frame),
            policies::samples(frame),
            queue::samples(frame),
            release_view::samples(frame),
            releases::samples(frame),
            run::samples(frame),
            run_cleanup::samples(frame),
            run_event::samples(frame),
            run_new::samples(frame),
            runs::samples(frame),
            samples::samples(frame),
            schedule::samples(frame),
            search::samples(frame),
            settings::samples(frame),
            site::samples(frame),
            webhook::samples(frame),
            webhook_events::samples(frame),
            webhooks::samples(frame),
        ]
        .concat()
    }

    /// With `SEKISHO_PAGES=FOLDER` the pages are left there, to be looked at.
    fn keep(lang: Language, number: usize, page: &str) {
        if let Some(folder) = std::env::var_os("SEKISHO_PAGES") {
            let file = std::path::Path::new(&folder).join(format!("{number:02}-{lang}.html"));
            fs_err::write(file, page).expect("the folder is there");
        }
    }

    #[test]
    fn every_page_renders_in_both_languages_and_fetches_nothing_from_elsewhere() {
        for lang in Language::ALL {
            for (number, page) in samples_of(&fixtures::frame(*lang, "/")).into_iter().enumerate() {
                keep(*lang, number, &page);
                let title =
                    page.split("<title>").nth(1).and_then(|rest| rest.split('<').next()).unwrap_or("");
                assert!(title.ends_with("· Sekisho") && title.len() > 12, "title \"{title}\"");
                assert!(page.contains(&format!("<html lang=\"{lang}\"")), "{title}: no lang");
                assert!(!page.contains('⟦'), "{title}: a key without text: {}", around(&page, "⟦"));
                // The issue of an experiment is the one place elsewhere that a page leads to.
                let page = page.replace(&format!("href=\"{}\"", fixtures::ISSUE), "");
                for forbidden in
                    ["src=\"http", "href=\"http", "style=\"", "onclick=", "alt=\"\"", "{n}", " undefined"]
                {
                    assert!(!page.contains(forbidden), "{title}: {}", around(&page, forbidden));
                }
                assert_tables(&page, title);
                assert_reasons(&page, title);
                assert_balanced(&page, title);
            }
        }
    }

    fn around(page: &str, text: &str) -> String {
        let at = page.find(text).unwrap_or(0);
        page.chars().skip(page[..at].chars().count().saturating_sub(80)).take(200).collect()
    }

    /// A dash stands only where its reason stands beside it; a time says when it is to programs too; every script carries the nonce.
    fn assert_reasons(page: &str, title: &str) {
        let page = page.split("<div class=\"card-text\"").next().unwrap_or(page);
        let dashes: Vec<&str> = page.split('—').collect();
        for (before, after) in dashes.iter().zip(dashes.iter().skip(1)) {
            let cell = before.rsplit("<span class=\"missing\" title=\"").next().unwrap_or("");
            assert!(
                cell.ends_with("<span aria-hidden=\"true\">")
                    && !cell.starts_with('"')
                    && cell.matches('<').count() == 1,
                "{title}: a dash without reason: …{} — {}",
                before.chars().rev().take(80).collect::<Vec<_>>().into_iter().rev().collect::<String>(),
                after.chars().take(40).collect::<String>()
            );
        }
        for time in page.split("<time").skip(1) {
            assert!(time.starts_with(" datetime=\"20"), "{title}: <time{}", &time[..40.min(time.len())]);
        }
        for script in page.split("<script").skip(1) {
            let tag = script.split('>').next().unwrap_or(script);
            assert!(
                tag.contains("nonce=\"n0nce\"") && tag.contains("src=\"/static/"),
                "{title}: <script{tag}>"
            );
        }
        for tag in page.split('<').skip(1).filter_map(|rest| rest.split('>').next()) {
            let handler = tag.split_whitespace().find(|word| word.starts_with("on") && word.contains('='));
            assert!(handler.is_none() || tag.starts_with('/'), "{title}: {handler:?} in <{tag}>");
        }
    }

    /// Every table of ours has a caption and heads with a scope; every drawing says in words what it shows.
    fn assert_tables(page: &str, title: &str) {
        let page = page.split("<div class=\"card-text\"").next().unwrap_or(page);
        for table in page.split("<table").skip(1) {
            let table = table.split("</table>").next().unwrap_or(table);
            assert!(table.contains("<caption"), "{title}: a table without caption");
            for head in table.split("<th").skip(1).filter(|head| !head.starts_with("ead")) {
                let tag = head.split('>').next().unwrap_or(head);
                assert!(tag.contains("scope="), "{title}: <th{tag}>");
            }
        }
        for figure in page.split("<figure").skip(1) {
            let figure = figure.split("</figure>").next().unwrap_or(figure);
            let said = |tag: &str| {
                let text = figure.split(&format!("<{tag}>")).nth(1).and_then(|rest| rest.split('<').next());
                text.is_some_and(|text| !text.trim().is_empty())
            };
            let is_drawn = !figure.contains("class=\"empty\"");
            assert!(said("h3") && (said("p") || !is_drawn), "{title}: a figure that says nothing: {figure}");
            assert!(figure.contains("<table") || !is_drawn, "{title}: a figure without a table");
        }
        for svg in page.split("<svg").skip(1) {
            let tag = svg.split('>').next().unwrap_or(svg);
            assert!(tag.contains("aria-label=") || tag.contains("aria-hidden"), "{title}: <svg{tag}>");
        }
    }

    /// Elements are closed in the order in which they were opened.
    fn assert_balanced(page: &str, title: &str) {
        const VOID: [&str; 6] = ["meta", "link", "input", "br", "hr", "!doctype"];
        let mut open: Vec<&str> = Vec::new();
        for tag in page.split('<').skip(1).filter_map(|rest| rest.split('>').next()) {
            let name = tag.split([' ', '\n']).next().unwrap_or(tag);
            if let Some(closed) = name.strip_prefix('/') {
                assert_eq!(open.pop(), Some(closed), "{title}: </{closed}> after {open:?}");
            } else if !tag.ends_with('/') && !VOID.contains(&name) {
                open.push(name);
            }
        }
        assert!(open.is_empty(), "{title}: never closed: {open:?}");
    }
}
