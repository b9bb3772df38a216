//! Recorded decisions of the lab on what a lab may decide itself.

use jiff::civil::Date;
use sekisho_domain::lineage::Waiver;

use crate::decision::{Code, Findings, Weight};
use crate::messages;
use sekisho_domain::Text;

/// Turns waived violations into warnings. A waiver that lifts nothing is itself a warning: it may hide a slip.
pub(crate) fn apply(waivers: &[Waiver], today: Date, findings: &mut Findings) {
    for waiver in waivers {
        if let Err(text) = lift(waiver, today, findings) {
            let derivation = format!("waiver of {} by {}: {}", waiver.code, waiver.by, waiver.reason);
            findings.add(
                Weight::Warning,
                Code::WaiverVoid,
                text,
                waiver.input.as_deref().unwrap_or_default(),
                derivation,
            );
        }
    }
}

fn lift(waiver: &Waiver, today: Date, findings: &mut Findings) -> Result<(), Text> {
    let values = [("code", waiver.code.as_str()), ("by", waiver.by.as_str())];
    let code = Code::ALL.iter().copied().find(|code| code.as_str() == waiver.code);
    let code = code.ok_or_else(|| messages::WAIVER_UNKNOWN_CODE.fill(&values))?;
    if !code.waivable() {
        return Err(messages::WAIVER_NOT_ALLOWED.fill(&values));
    }
    let until = waiver.until.as_ref().map(|until| (until.to_string(), last_day(until)));
    if let Some((shown, last)) = &until
        && last.is_none_or(|last| last < today)
    {
        let [code, by] = values;
        return Err(messages::WAIVER_EXPIRED.fill(&[code, by, ("until", shown)]));
    }
    let until = until.map(|(shown, _)| format!(" until {shown}")).unwrap_or_default();
    let evidence = waiver.evidence.as_ref().map(|file| format!(" ({file})")).unwrap_or_default();
    let note = format!("waived by {}{until}: {}{evidence}", waiver.by, waiver.reason);
    if findings.lift(code, waiver.input.as_deref(), &note) {
        Ok(())
    } else {
        Err(messages::WAIVER_IDLE.fill(&values))
    }
}

/// `None` for a time without a day, which never holds.
fn last_day(until: &toml::value::Datetime) -> Option<Date> {
    let date = until.date?;
    Date::new(i16::try_from(date.year).ok()?, i8::try_from(date.month).ok()?, i8::try_from(date.day).ok()?)
        .ok()
}
