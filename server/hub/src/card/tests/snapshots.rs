use std::collections::BTreeMap;

use sekisho_domain::Language::{En, Ja};

use super::{full, render};
use crate::card::{CardEdits, Section};

#[test]
fn a_card_with_everything_reads_as_a_whole() {
    let edits = CardEdits {
        en: BTreeMap::from([
            (Section::Acknowledgements, "We thank the people who read drafts.".to_owned()),
            (Section::Training, "The decay branch began at step 400,000.".to_owned()),
        ]),
        ja: BTreeMap::from([
            (Section::Acknowledgements, "草稿を読んでくださった皆様に感謝します。".to_owned()),
            (Section::Training, "減衰分岐はステップ400,000から開始しました。".to_owned()),
        ]),
    };
    insta::assert_snapshot!("full_en", render(&full(), &edits, En));
    insta::assert_snapshot!("full_ja", render(&full(), &edits, Ja));
}
