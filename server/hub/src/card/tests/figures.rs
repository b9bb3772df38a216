use sekisho_domain::Language::{En, Ja};
use sekisho_domain::Tokens;
use sekisho_domain::run::Devices;

use super::{card, computed, facts, figures, full, point, without_front_matter};
use crate::card::{CardCurve, CardFacts};

fn assert_same_figures(facts: &CardFacts, at_least: usize) -> (String, String) {
    let (en, ja) = (card(facts, En), card(facts, Ja));
    let (in_en, in_ja) = (figures(without_front_matter(&en)), figures(&ja));
    assert!(in_en.len() > at_least, "{}", in_en.len());
    assert_eq!(in_en, in_ja, "{en}\n{ja}");
    (en, ja)
}

#[test]
fn both_languages_hold_the_same_figures() {
    let (en, ja) = assert_same_figures(&facts(), 80);
    for figure in [
        "0.412",
        "[0.392, 0.432]",
        "198",
        "91,234,567,890",
        "90,000,000,000",
        "8,388,608",
        "3e-4",
        "1e-8",
        "6,979,588,096",
        "16 GB",
    ] {
        assert!(en.contains(figure) && ja.contains(figure), "{figure}\n{en}");
    }
    assert!(
        en.contains("| Architecture | MistralForCausalLM |") && ja.contains("| 種別 | MistralForCausalLM |")
    );
    assert!(en.contains("about 91.2 billion tokens") && ja.contains("約912億トークン"), "{ja}");
}

#[test]
fn both_languages_hold_the_same_figures_with_everything_known() {
    let (en, ja) = assert_same_figures(&full(), 200);
    for figure in ["4,480 GPU", "15,691,234,567,890", "400,000", "p = 0.031", "−0.018", "+0.059", "2026"] {
        assert!(en.contains(figure) && ja.contains(figure), "{figure}\n{ja}");
    }
}

#[test]
fn both_languages_hold_the_same_figures_whatever_is_missing() {
    let mut odd = full();
    odd.extras.subsets[1].tokens = None;
    odd.extras.subsets[2].level = None;
    odd.extras.subsets[3].counted_with = Some("gpt2".to_owned());
    odd.extras.base = None;
    odd.mean = None;
    odd.extras.compute =
        vec![computed(8, "H200", 0.75), computed(2, Devices::CPU_THREAD, 0.3), computed(1, "B200", 0.001)];
    let points = (1..=417).map(point).collect();
    odd.extras.curve = Some(CardCurve { suite: "s".to_owned(), points, figure: None });
    let (en, ja) = assert_same_figures(&odd, 200);
    assert!(en.contains("40 of 417 checkpoints are shown.") && !en.contains("| Total |"), "{en}");
    assert!(en.contains("| 12,510,000,000,000 |") && en.contains("| 30,000,000,000 |"), "{en}");
    assert!(ja.contains("リリースレベルが未登録のサブセットは1件です。"), "{ja}");
    assert!(
        ja.contains("llm-jp-tokenizer-v3.0（ndl-ja、web-en、wiki-ja）、gpt2（lab/sft-ja）")
            || ja.contains("gpt2（lab/sft-ja）、llm-jp-tokenizer-v3.0（ndl-ja、web-en、wiki-ja）"),
        "{ja}"
    );
}

#[test]
fn shares_are_those_of_the_subsets() {
    let whole =
        full().extras.subsets.iter().filter_map(|subset| subset.tokens).map(|Tokens(n)| n).sum::<u64>();
    assert_eq!(whole, 91_234_567_890);
    for (language, sentence) in [
        (
            En,
            "Of 4 subsets of text, 2 (about 7.47 billion tokens, 8%) have release level L1 and may be redistributed. The text of the 2 subsets of L2 and L3 is not redistributed, for reasons of rights.",
        ),
        (
            Ja,
            "4サブセットのうち2サブセット（約74.7億トークン、8%）はリリースレベルL1で、再頒布できます。L2およびL3の2サブセットは、権利上の理由により本文を公開していません。",
        ),
    ] {
        let card = card(&full(), language);
        assert!(card.contains(sentence), "{card}");
        assert!(card.contains("| 91,234,567,890 |"), "{card}");
    }
}

#[test]
fn what_the_training_took_is_said_in_units_that_fit() {
    let mut facts = full();
    for (count, name, hours, en, ja) in [
        (64, "H200", 1_680.075, "64 × H200, about 4,480 GPU-days", "H200 64基、約4,480 GPU日"),
        (8, "H200", 4.5, "8 × H200, about 1.5 GPU-days", "H200 8基、約1.5 GPU日"),
        (8, "H200", 0.75, "8 × H200, about 6.0 GPU-hours", "H200 8基、約6.0 GPU時間"),
        (2, Devices::CPU_THREAD, 0.3, "2 CPU threads, about 18 minutes", "CPU 2スレッド、約18分"),
        (1, Devices::CPU_THREAD, 2.5, "1 CPU thread, about 2.5 hours", "CPU 1スレッド、約2.5時間"),
        (1, Devices::CPU_THREAD, 0.0, "1 CPU thread, less than 1 minute", "CPU 1スレッド、1分未満"),
        (1, "H200", 0.0, "1 × H200, less than 1 GPU-minute", "H200 1基、1 GPU分未満"),
    ] {
        facts.extras.compute = vec![computed(count, name, hours)];
        assert!(card(&facts, En).contains(&format!("| Compute | {en} |")), "{en}");
        assert!(card(&facts, Ja).contains(&format!("| 計算資源 | {ja} |")), "{ja}");
    }
    facts.extras.compute = Vec::new();
    assert!(!card(&facts, En).contains("| Compute |"));
}
