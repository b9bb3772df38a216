//! Scores with their intervals and settings, and the command that repeats them.

use std::collections::BTreeMap;

use sekisho_domain::Language;

use super::figures::{exact, interval, is_percent, score};
use super::markdown::{Cell, code, escape, shell, table};
use super::{Card, CardEnvironment, CardScore};

impl Card<'_> {
    pub(super) fn evaluation(&self) -> Option<String> {
        let facts = self.facts;
        if facts.scores.is_empty() {
            return None;
        }
        let mut parts = Vec::new();
        let japanese = (self.say("### Japanese tasks", "### 日本語タスク"), true);
        let other = (self.say("### English tasks", "### 英語タスク"), false);
        for (title, is_japanese) in [japanese, other] {
            let rows: Vec<&CardScore> =
                facts.scores.iter().filter(|row| (row.language == "ja") == is_japanese).collect();
            if !rows.is_empty() {
                parts.push(format!("{title}\n\n{}", self.scores(&rows)));
            }
        }
        parts.extend(self.summary());
        parts.extend(self.comparisons());
        parts.push(self.say(
            "Brackets are 95% intervals, n is the number of items. Scores are comparable with others only where the settings ID is the same.",
            "角括弧内は95%信頼区間、nは設問数です。他のモデルとの比較は、評価条件IDが同じ場合に限り可能です。",
        ).to_owned());
        parts.extend(facts.extras.environment.as_ref().map(|environment| self.environment(environment)));
        parts.push(format!(
            "{}\n\n```bash\n{}\n```",
            self.say("To repeat a score:", "再現コマンド："),
            self.commands()
        ));
        parts.extend(self.contamination());
        Some(parts.join("\n\n"))
    }

    fn summary(&self) -> Option<String> {
        let mean = self.facts.mean.as_ref()?;
        let (value, range) = interval(&mean.interval);
        let suite = code(&mean.suite);
        Some(match self.language {
            Language::En => format!(
                "Mean of the suite {suite}: **{value}** {range} (95% interval; the tasks above weigh the same, items are resampled within each task)."
            ),
            Language::Ja => format!(
                "評価セット{suite}の平均：**{value}** {range}（95%信頼区間。各タスクの重みは等しく、設問はタスクごとに再抽出しています）。"
            ),
        })
    }

    fn scores(&self, rows: &[&CardScore]) -> String {
        let beside = self.beside(rows);
        let mut header: Vec<String> = [
            self.say("Task", "タスク"),
            self.say("Profile", "評価プロファイル"),
            "n-shot",
            self.say("Metric", "評価尺度"),
            self.say("Split", "分割"),
            "n",
            self.say("Score", "スコア"),
            self.say("95% interval", "95%信頼区間"),
        ]
        .map(ToOwned::to_owned)
        .to_vec();
        for other in &beside {
            header.extend([other.title.clone(), self.say("Difference", "差").to_owned()]);
        }
        header.push(self.say("Settings ID", "評価条件ID").to_owned());
        let header: Vec<&str> = header.iter().map(String::as_str).collect();
        let rows: Vec<Vec<Cell>> = rows
            .iter()
            .map(|row| {
                let mut cells = self.score(row);
                cells.extend(beside.iter().flat_map(|other| self.beside_score(row, other.comparison)));
                cells.push(Cell::code(&row.entry.fingerprint.short()));
                cells
            })
            .collect();
        table(&header, &rows)
    }

    fn score(&self, row: &CardScore) -> Vec<Cell> {
        let entry = &row.entry;
        let (value, range) = score(entry.value, entry.low, entry.high, is_percent(&entry.metric));
        vec![
            self.task(row).into(),
            Cell::from(&entry.profile),
            entry.shots.to_string().into(),
            Cell::from(&entry.metric),
            Cell::from(&entry.split),
            exact(entry.n).into(),
            value.into(),
            Cell::plain(&range),
        ]
    }

    /// Name of a task.
    pub(super) fn task<'t>(&self, row: &'t CardScore) -> &'t str {
        self.say(&row.title_en, &row.title_ja)
    }

    fn environment(&self, environment: &CardEnvironment) -> String {
        let bos = environment.bos.map(|bos| match (bos, self.language) {
            (true, Language::En) => "BOS on",
            (false, Language::En) => "BOS off",
            (true, Language::Ja) => "BOSあり",
            (false, Language::Ja) => "BOSなし",
        });
        let named = [&environment.engine, &environment.device, &environment.dtype];
        let mut parts: Vec<String> = named.into_iter().map(|text| escape(text)).collect();
        parts.extend(bos.map(ToOwned::to_owned));
        parts.retain(|part| !part.is_empty());
        format!("{}{}", self.say("Computed with: ", "計算環境："), self.list(&parts))
    }

    /// One command for the tasks that share profile, split, shots and limit.
    fn commands(&self) -> String {
        let mut groups: BTreeMap<(&str, &str, u32, Option<u64>), Vec<&str>> = BTreeMap::new();
        for row in &self.facts.scores {
            let entry = &row.entry;
            let tasks = groups.entry((&entry.profile, &entry.split, entry.shots, row.limit)).or_default();
            if !tasks.contains(&entry.task.as_str()) {
                tasks.push(&entry.task);
            }
        }
        let model = shell(self.folder());
        let command = |((profile, split, shots, limit), tasks): (
            (&str, &str, u32, Option<u64>),
            Vec<&str>,
        )| {
            let limit = limit.map(|limit| format!(" --limit {limit}")).unwrap_or_default();
            let (profile, split, tasks) = (shell(profile), shell(split), shell(&tasks.join(",")));
            format!(
                "sekisho eval --model {model} --profile {profile} --task {tasks} --data DATA --split {split} --shots {shots}{limit}"
            )
        };
        groups.into_iter().map(command).collect::<Vec<_>>().join("\n")
    }
}
