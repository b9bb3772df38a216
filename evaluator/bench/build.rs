//! Lists the definitions under `tasks/`, so that a new file is built in without being named anywhere.

use std::path::{Path, PathBuf};
use std::{env, io};

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("tasks");
    println!("cargo::rerun-if-changed={}", root.display());
    let mut files = Vec::new();
    collect(&root, &mut files)?;
    files.sort();
    let rows: String = files
        .iter()
        .map(|file| {
            let name = file.strip_prefix(&root).expect("found below it").display();
            format!("({:?}, include_str!({:?})),\n", name.to_string(), file.display().to_string())
        })
        .collect();
    let out = PathBuf::from(env::var("OUT_DIR").expect("cargo sets it"));
    fs_err::write(out.join("tasks.rs"), format!("&[{rows}]"))
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs_err::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "toml") {
            files.push(path);
        }
    }
    Ok(())
}
