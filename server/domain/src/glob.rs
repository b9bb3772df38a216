/// Whether `name` fits a glob in which `*` stands for any characters and `?` for one.
#[must_use]
pub fn fits_glob(glob: &str, name: &str) -> bool {
    let mut glob_chars = glob.chars();
    match glob_chars.next() {
        None => name.is_empty(),
        Some('*') => {
            let rest = glob_chars.as_str();
            std::iter::once(0)
                .chain(name.char_indices().map(|(i, c)| i + c.len_utf8()))
                .any(|i| fits_glob(rest, &name[i..]))
        }
        Some(expected) => {
            let mut name_chars = name.chars();
            name_chars.next().is_some_and(|c| {
                (expected == '?' || expected == c) && fits_glob(glob_chars.as_str(), name_chars.as_str())
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::fits_glob;

    #[test]
    fn stars_and_question_marks() {
        let norm_weight = "model.layers.0.input_layernorm.weight";
        for (glob, name, expected) in [
            ("*norm.weight", norm_weight, true),
            ("*norm.weight", "model.norm.weight", true),
            ("*norm.weight", "model.layers.0.mlp.up_proj.weight", false),
            ("model.layers.?.input*", norm_weight, true),
            ("model.layers.?.input*", "model.layers.10.input_layernorm.weight", false),
            ("lm_head.weight", "lm_head.weight", true),
            ("lm_head", "lm_head.weight", false),
            ("*", norm_weight, true),
            ("減衰-?", "減衰-８", true),
        ] {
            assert_eq!(fits_glob(glob, name), expected, "{glob} on {name}");
        }
    }
}
