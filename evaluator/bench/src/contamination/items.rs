use sekisho_domain::Sha256;
use sekisho_domain::evaluation::TaskRun;
use sekisho_domain::wire::SourceFile;

use crate::data::limited;
use crate::definition::{Choices, Derive, Input, RequestRule, Role, SourceRef, TaskDefinition};
use crate::error::TaskError;
use crate::prompt::Renderer;
use crate::reader::Row;
use crate::splits::Files;
use crate::template::Template;

/// The items of a run as they are looked for in texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemTexts {
    /// In the order in which the harness asks them.
    pub items: Vec<ItemText>,
    /// The data files of the split: those of the shots are not among them.
    pub sources: Vec<SourceFile>,
}

/// One item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemText {
    /// Line in the split, from 0.
    pub item: u64,
    /// Its texts, each by itself: question, passage, choices.
    pub parts: Vec<String>,
}

/// The texts of a run's items, as the data has them: the fields that stand in preamble, input and choices, without the words that
/// the templates put around them. Fields that the input puts side by side are one text. Shots are left out, and so are answers.
///
/// `accept` and `read` as in [`load`](crate::load).
///
/// # Errors
/// What [`load`](crate::load) refuses.
pub fn texts(
    definition: &TaskDefinition,
    run: &TaskRun,
    accept: &[Sha256],
    read: &dyn Fn(&SourceRef) -> Result<Vec<u8>, String>,
) -> Result<ItemTexts, TaskError> {
    let run = TaskRun { shots: Some(0), ..run.clone() };
    let split = definition.split_of(&run)?;
    let files = Files::read(definition, &definition.sources_for(&run)?, accept, read)?;
    let rows = files.rows(definition, split);
    let order = Renderer::new(definition, &run, &files)?.order(rows.len());
    let order = limited(definition, &run, &rows, order)?;
    let role = definition.splits.role(split);
    let item =
        |index: usize| Ok(ItemText { item: index as u64, parts: parts(definition, role, rows[index])? });
    Ok(ItemTexts {
        items: order.into_iter().map(item).collect::<Result<_, TaskError>>()?,
        sources: files.sources(),
    })
}

fn parts(definition: &TaskDefinition, role: Role, row: &Row) -> Result<Vec<String>, TaskError> {
    let inputs: &[Template] = match &definition.prompt.input {
        Input::One(template) => std::slice::from_ref(template),
        Input::PerChoice(templates) => templates,
    };
    let (mut lists, mut templates) = (Vec::new(), vec![&definition.prompt.preamble]);
    templates.extend(inputs);
    match &definition.request {
        RequestRule::Choices { choices: Choices::Field(field), .. } => lists.extend(row.list(field)?),
        RequestRule::Choices { choices: Choices::Each(each), .. } => templates.extend(each),
        RequestRule::Continuation { .. } | RequestRule::Rolling | RequestRule::Generate { .. } => {}
    }
    let mut parts: Vec<String> = Vec::new();
    for run in templates.into_iter().flat_map(Template::runs) {
        for run in in_the_data(&definition.derive, role, run) {
            let fields = run.into_iter().filter(|field| *field != "instruction");
            parts.push(fields.map(|field| row.text(field)).collect::<Result<String, TaskError>>()?);
        }
    }
    parts.extend(lists);
    parts.retain(|part| !part.is_empty());
    parts.dedup();
    Ok(parts)
}

/// A field that the definition makes by putting words around others stands for those others.
fn in_the_data<'d>(derived: &'d [Derive], role: Role, run: Vec<&'d str>) -> Vec<Vec<&'d str>> {
    let [field] = run[..] else { return vec![run] };
    let makes = |derive: &Derive| derive.field == field && derive.role.is_none_or(|only| only == role);
    match derived.iter().rposition(makes) {
        Some(place)
            if derived[place].from.has_words() && !derived[place].from.fields().any(|from| from == field) =>
        {
            let (before, from) = (&derived[..place], &derived[place].from);
            from.runs().into_iter().flat_map(|run| in_the_data(before, role, run)).collect()
        }
        _ => vec![run],
    }
}
