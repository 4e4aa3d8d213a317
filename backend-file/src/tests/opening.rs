//! Opening what people have had their hands on.

use osis_core::Backend as _;
use osis_core::batch::{Batch, Op};
use osis_core::input::Draft;
use osis_core::schema::{Source, load};
use osis_core::value::Value;
use tempfile::TempDir;

use crate::{FileBackend, FileConfig};

const SCHEMA: &str = "
name = 'opening'
version = 1
[types.note]
plural = 'notes'
[types.note.fields]
name = { type = 'string', required = true }
";

fn open(directory: &TempDir) -> FileBackend {
    let schema = load(&[Source::new("opening.toml", SCHEMA)]).unwrap();
    FileBackend::open(FileConfig::new(directory.path()), Some(schema)).unwrap()
}

#[tokio::test]
async fn a_schema_file_that_was_edited_is_put_back() {
    let directory = TempDir::new().unwrap();
    let backend = open(&directory);
    let draft = Draft {
        id: None,
        values: vec![Some(Value::from("a"))],
        links: Vec::new(),
    };
    let new = Op::New { type_id: 0, draft };
    let answers = backend.apply(vec![Batch::of(vec![new])]).await;
    assert!(answers[0].is_ok(), "{answers:?}");
    backend.close().await.unwrap();
    drop(backend);
    let path = directory.path().join("schema.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("opening", "edited")).unwrap();
    let backend = open(&directory);
    assert_eq!(backend.schema().name, "opening");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    backend.close().await.unwrap();
}
