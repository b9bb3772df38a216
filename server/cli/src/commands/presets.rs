use sekisho_trainer::spec::{PRESETS, Preset, preset};
use serde_json::{Value, json};

use crate::exit::{ExitStatus, Failed};
use crate::printer::Printer;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Print this one as a specification to be edited
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// The list as JSON on stdout
    #[arg(long, conflicts_with = "name")]
    json: bool,
}

pub(crate) fn run(args: &Args, printer: &Printer) -> anyhow::Result<ExitStatus> {
    if let Some(name) = &args.name {
        let found =
            preset(name).map_err(|rule| Failed::with(ExitStatus::NotFound, format!("the name {rule}")))?;
        printer.data(found.specification().trim_end())?;
        return Ok(ExitStatus::Ok);
    }
    if args.json {
        printer.json(&PRESETS.iter().map(fields).collect::<Vec<_>>())?;
        return Ok(ExitStatus::Ok);
    }
    let header = [
        "name",
        "layers",
        "hidden",
        "ffn",
        "heads (kv)",
        "context",
        "vocabulary",
        "parameters",
        "lr",
        "batch",
        "source",
    ];
    printer.table(&header, &PRESETS.iter().map(row).collect::<Vec<_>>())?;
    Ok(ExitStatus::Ok)
}

/// A dash stands for what was not published.
fn row(preset: &Preset) -> Vec<String> {
    let of_recipe = |value: String| if preset.recipe.published { value } else { "—".to_owned() };
    vec![
        preset.name.to_owned(),
        preset.layers.to_string(),
        preset.hidden.to_string(),
        preset.feed_forward.to_string(),
        format!("{} ({})", preset.heads, preset.key_heads),
        preset.context.to_string(),
        preset.vocabulary.to_string(),
        sekisho_domain::Tokens(preset.parameters()).to_string(),
        of_recipe(format!("{:e}", preset.recipe.lr)),
        of_recipe(preset.recipe.sequences.to_string()),
        preset.source.to_owned(),
    ]
}

fn fields(preset: &Preset) -> Value {
    let recipe = &preset.recipe;
    json!({
        "name": preset.name,
        "parameters": preset.parameters(),
        "model": preset.model(),
        "lr": recipe.published.then_some(recipe.lr),
        "sequences": recipe.published.then_some(recipe.sequences),
        "source": preset.source,
    })
}
