use std::path::{Path, PathBuf};

use sekisho_domain::nearest;
use sekisho_policy::{Brought, Code, Explained, Explanation, LicenseRule, PolicySet, Use, Weight};

use super::{How, facts_of, status, today};
use crate::exit::{ExitStatus, Failed};
use crate::printer::Printer;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Lineage and release file
    #[arg(value_name = "LINEAGE.toml", required_unless_present_any = ["license", "code"], conflicts_with = "license")]
    lineage: Option<PathBuf>,
    /// Only the findings with this code; without a lineage file, what the code is about
    #[arg(long, value_name = "CODE", conflicts_with = "license")]
    code: Option<String>,
    /// The duties that one licence brings, by its Hub id or SPDX id
    #[arg(long, value_name = "ID")]
    license: Option<String>,
    #[command(flatten)]
    how: How,
}

pub(crate) fn run(args: &Args, printer: &Printer) -> anyhow::Result<ExitStatus> {
    let set = args.how.set()?;
    if let Some(id) = &args.license {
        return license(id, &set, &args.how, printer);
    }
    let code = args.code.as_deref().map(code_named).transpose()?;
    match (&args.lineage, code) {
        (Some(lineage), code) => lineage_file(lineage, code, &set, &args.how, printer),
        (None, Some(code)) => {
            printer.data(&format!("{}: {}", code.as_str(), code.meaning().get(args.how.lang)))?;
            Ok(ExitStatus::Ok)
        }
        (None, None) => Err(Failed::user("name a lineage file, --license or --code")),
    }
}

fn code_named(name: &str) -> anyhow::Result<Code> {
    Code::named(name).ok_or_else(|| {
        let hint = hint(name, Code::ALL.iter().map(|code| code.as_str()));
        Failed::with(ExitStatus::NotFound, format!("there is no code \"{name}\"{hint}"))
    })
}

fn hint<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    nearest(name, known).map_or_else(String::new, |near| format!("; did you mean \"{near}\"?"))
}

fn lineage_file(
    lineage: &Path,
    code: Option<Code>,
    set: &PolicySet,
    how: &How,
    printer: &Printer,
) -> anyhow::Result<ExitStatus> {
    let facts = facts_of(lineage, printer)?;
    let mut explanation = sekisho_policy::explain(&facts, set, today());
    if let Some(code) = code {
        explanation.findings.retain(|explained| explained.finding.code == code);
        for input in &mut explanation.inputs {
            input.findings.retain(|found| found.code == code);
        }
    }
    if how.json {
        printer.json(&explanation)?;
    } else {
        printer.data(&lines(&explanation, how).join("\n"))?;
    }
    Ok(status(explanation.verdict))
}

fn lines(explanation: &Explanation, how: &How) -> Vec<String> {
    let policy = &explanation.policy;
    let mut lines = vec![
        format!("{}: {}", how.pick("Verdict", "判定"), how.verdict(explanation.verdict)),
        format!(
            "{}: {} {} ({})",
            how.pick("Policy", "ポリシー"),
            policy.name,
            policy.version,
            policy.digest.short()
        ),
    ];
    for explained in &explanation.findings {
        lines.push(String::new());
        lines.extend(finding(explained, how));
    }
    lines.push(String::new());
    lines.push(
        how.pick(
            "What each input brings, and what would go with it:",
            "入力ごとの判定への影響（除外すれば該当しなくなるもの）：",
        )
        .to_owned(),
    );
    lines.extend(explanation.inputs.iter().flat_map(|brought| input(brought, how)));
    lines
}

fn weight(weight: Weight, how: &How) -> &'static str {
    match weight {
        Weight::Violation => how.pick("violation", "違反"),
        Weight::Warning => how.pick("warning", "警告"),
        Weight::Obligation => how.pick("obligation", "義務"),
    }
}

fn finding(explained: &Explained, how: &How) -> Vec<String> {
    let finding = &explained.finding;
    let mut lines = vec![
        format!(
            "{} {}: {}",
            weight(explained.weight, how),
            finding.code.as_str(),
            finding.text.get(how.lang)
        ),
        format!("  {} {}", how.pick("what:  ", "内容："), explained.meaning.get(how.lang)),
    ];
    let way = how.pick("way:   ", "経路：");
    lines.extend(finding.derivation.iter().map(|line| format!("  {way} {line}")));
    for rule in &explained.rules {
        let name = format!("{} {}", rule.rule, rule.clause);
        lines.push(format!("  {} {}", how.pick("rule:  ", "規則："), name.trim_end()));
        if !rule.source.is_empty() {
            lines.push(format!("  {} {}", how.pick("source:", "出典："), rule.source));
        }
    }
    lines
}

fn input(brought: &Brought, how: &How) -> Vec<String> {
    let mut lines = vec![format!("  {} \"{}\"", brought.kind, brought.input)];
    if brought.findings.is_empty() {
        lines.push(format!("    {}", how.pick("nothing", "なし")));
    }
    for found in &brought.findings {
        let shared = if found.alone { "" } else { how.pick(" (not alone)", "（他にも由来あり）") };
        lines.push(format!(
            "    {} {}{shared}: {}",
            weight(found.weight, how),
            found.code.as_str(),
            found.text.get(how.lang)
        ));
    }
    lines
}

fn license(id: &str, set: &PolicySet, how: &How, printer: &Printer) -> anyhow::Result<ExitStatus> {
    let Some(rule) = set.license(id) else {
        let known = set.licenses().iter().flat_map(|rule| std::iter::once(&rule.id).chain(&rule.names));
        let hint = hint(id, known.map(String::as_str));
        let message = format!("the set {} has no rule for licence \"{id}\"{hint}", set.name());
        return Err(Failed::with(ExitStatus::NotFound, message));
    };
    if how.json {
        printer.json(rule)?;
        return Ok(ExitStatus::Ok);
    }
    let approved = if rule.osi { how.pick(", OSI-approved", "、OSI承認") } else { "" };
    let mut head = vec![format!("{}: {}{approved}", rule.id, rule.class.label().get(how.lang))];
    if !rule.names.is_empty() {
        head.push(format!("{}: {}", how.pick("also", "別名"), rule.names.join(", ")));
    }
    if !rule.covered_by.is_empty() {
        head.push(format!("{}: {}", how.pick("met by", "次の宣言でも可"), rule.covered_by.join(", ")));
    }
    head.push(format!("{}: {}", how.pick("source", "出典"), rule.source));
    head.push(String::new());
    printer.data(&head.join("\n"))?;
    let header = [
        how.pick("used as", "用途"),
        how.pick("duty", "義務"),
        how.pick("clause", "条項"),
        how.pick("exactly", "内容"),
    ];
    printer.table(&header, &duties(rule, how))?;
    Ok(ExitStatus::Ok)
}

fn duties(rule: &LicenseRule, how: &How) -> Vec<Vec<String>> {
    use sekisho_policy::Duty;
    let exactly = |duty| match duty {
        Duty::LicenseFile => rule.file.clone(),
        Duty::Notice => rule.notice.clone(),
        Duty::BuiltWith => rule.built_with.clone(),
        Duty::NamePrefix => rule.name_prefix.clone(),
        Duty::Attribution => rule.attribution.clone(),
        Duty::UsePolicy => Some("USE_POLICY.md".to_owned()),
        _ => None,
    };
    let pairs = Use::ALL.iter().flat_map(|r#use| rule.duties(*r#use).iter().map(move |duty| (*r#use, *duty)));
    let row = |(r#use, duty): (Use, Duty)| {
        vec![
            r#use.label().get(how.lang).to_owned(),
            duty.label().get(how.lang).to_owned(),
            rule.clause(duty).to_owned(),
            exactly(duty).unwrap_or_default(),
        ]
    };
    pairs.map(row).collect()
}
