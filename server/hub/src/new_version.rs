use crate::PublishError;
use crate::bundle::is_repo;

const KEY: &str = "new_version:";

/// A card whose metadata names the successor of its model: the Hub shows a link to it
/// (<https://huggingface.co/docs/hub/model-cards>). Everything else stays to the letter.
///
/// # Errors
/// [`PublishError::CardRefused`] for metadata without an end, [`PublishError::BundleInvalid`] for a successor that is no repository.
pub fn with_new_version(card: &str, successor: &str) -> Result<String, PublishError> {
    if !is_repo(successor) {
        let rule = "a successor is a repository, \"owner/name\"";
        return Err(PublishError::BundleInvalid { what: successor.to_owned(), rule });
    }
    let line = format!("{KEY} {successor}\n");
    let mut lines = card.split_inclusive('\n');
    let Some(first) = lines.next().filter(|first| first.trim_end() == "---") else {
        return Ok(format!("---\n{line}---\n{card}"));
    };
    let mut out = first.to_owned();
    let mut written = false;
    while let Some(next) = lines.next() {
        if next.trim_end() == "---" {
            if !written {
                out.push_str(&line);
            }
            out.push_str(next);
            out.extend(lines);
            return Ok(out);
        }
        if !next.starts_with(KEY) {
            out.push_str(next);
        } else if !written {
            out.push_str(&line);
            written = true;
        }
    }
    Err(PublishError::CardRefused { reason: "its metadata does not end".to_owned() })
}

#[cfg(test)]
mod tests {
    use super::with_new_version;

    #[test]
    fn the_successor_is_named_once_and_nothing_else_changes() {
        for (card, want) in [
            ("# m\n", "---\nnew_version: lab/m2\n---\n# m\n"),
            ("---\nlicense: mit\n---\n# m\n---\n", "---\nlicense: mit\nnew_version: lab/m2\n---\n# m\n---\n"),
            (
                "---\nnew_version: lab/old\nlicense: mit\n---\nnew_version: x\n",
                "---\nnew_version: lab/m2\nlicense: mit\n---\nnew_version: x\n",
            ),
            (
                "---\nx:\n  new_version: deep\nnew_version: \"a/b\"\nnew_version: c/d\n---\n",
                "---\nx:\n  new_version: deep\nnew_version: lab/m2\n---\n",
            ),
        ] {
            let once = with_new_version(card, "lab/m2").expect("a card");
            assert_eq!(once, want);
            assert_eq!(with_new_version(&once, "lab/m2").expect("a card"), once);
        }
        assert_eq!(with_new_version("---\nlicense: mit\n", "lab/m2").expect_err("no end").code(), "hub-card");
        assert_eq!(with_new_version("", "lab m2").expect_err("no name").code(), "hub-bundle");
    }
}
