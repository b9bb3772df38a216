//! Recorded decisions of the lab on what a lab may decide itself.

use jiff::civil::Date;
use sekisho_domain::lineage::Waiver;

use crate::cases::day;
use crate::decision::{Code, Findings, Weight};
use crate::messages;
use crate::set::House;
use sekisho_domain::Text;

/// Turns waived violations into warnings. A waiver that lifts nothing is itself a warning: it may hide a slip.
pub(crate) fn apply(waivers: &[Waiver], house: &House, today: Date, findings: &mut Findings) {
    for waiver in waivers {
        if let Err(text) = lift(waiver, house, today, findings) {
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

fn lift(waiver: &Waiver, house: &House, today: Date, findings: &mut Findings) -> Result<(), Text> {
    let values = [("code", waiver.code.as_str()), ("by", waiver.by.as_str())];
    let code = Code::named(&waiver.code).ok_or_else(|| messages::WAIVER_UNKNOWN_CODE.fill(&values))?;
    if !code.waivable() {
        return Err(messages::WAIVER_NOT_ALLOWED.fill(&values));
    }
    if house.never_waived().any(|never| never == waiver.code) {
        return Err(messages::WAIVER_HOUSE.fill(&values));
    }
    if house.wants_evidence() && waiver.evidence.as_ref().is_none_or(|file| file.trim().is_empty()) {
        return Err(messages::WAIVER_NO_EVIDENCE.fill(&values));
    }
    let until = waiver.until.as_ref().map(|until| (until.to_string(), day(until)));
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
