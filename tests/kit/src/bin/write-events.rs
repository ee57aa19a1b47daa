//! Writes the files below `events/`.

use std::path::Path;

fn main() -> std::io::Result<()> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../events"));
    for (path, event) in testkit::events::all() {
        let file = folder.join(path);
        std::fs::create_dir_all(file.parent().unwrap_or(folder))?;
        std::fs::write(file, format!("{event:#}\n"))?;
    }
    Ok(())
}
