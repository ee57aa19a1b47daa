//! Writes the files below `events/`.

use std::path::Path;

use serde_json::Value;
use testkit::events;

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    for (path, event) in events::all() {
        write(path, &event)?;
    }
    write("tables.json", &events::tables().await)
}

fn write(path: &str, content: &Value) -> std::io::Result<()> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../events"));
    let file = folder.join(path);
    std::fs::create_dir_all(file.parent().unwrap_or(folder))?;
    std::fs::write(file, format!("{content:#}\n"))
}
