use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::row::{Row, error_at};
use crate::error::TaskError;

#[derive(Deserialize)]
struct File {
    data: Vec<Article>,
}

#[derive(Deserialize)]
struct Article {
    title: String,
    paragraphs: Vec<Paragraph>,
}

#[derive(Deserialize)]
struct Paragraph {
    context: String,
    qas: Vec<Map<String, Value>>,
}

/// A record for each question, with what its paragraph and article say.
pub(super) fn questions(file: &str, text: &str) -> Result<Vec<Row>, TaskError> {
    let articles: File = serde_json::from_str(text).map_err(|error| {
        error_at(file, &format!("line {}", error.line()), format!("not the JSON of SQuAD ({error})"))
    })?;
    let mut rows = Vec::new();
    let mut passage = 0_u64;
    for article in articles.data {
        for paragraph in article.paragraphs {
            for mut fields in paragraph.qas {
                fields.insert("title".to_owned(), json!(article.title));
                fields.insert("context".to_owned(), json!(paragraph.context));
                fields.insert("passage".to_owned(), json!(passage.to_string()));
                rows.push(Row::new(file, format!("question {}", rows.len() + 1), fields));
            }
            passage += 1;
        }
    }
    Ok(rows)
}
