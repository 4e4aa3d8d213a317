//! Check: what is wrong with a store, and the mending of what can be mended without losing anything.
//!
//! Looked at are what the engine itself complains of, what lies in the store without being served,
//! and what is served: each object against its type, its references, and the keys by which it is
//! found.

mod served;

use std::sync::Arc;

use osis_core::backend::Problem;
use osis_core::batch::{Batch, MirrorObject, Op};
use osis_core::schema::{Schema, TypeId};
use osis_core::store::Principal;
use osis_core::{Error, ErrorKind, Id, Result, Row, Store};

use crate::Progress;
use crate::dedup::{self, Plan, Policy};
use crate::order::groups;
use crate::source::{Source as _, StoreSource};

const WHO: Principal = Principal::Operator;

/// Something that is wrong, or was.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct Finding {
    /// The file, below the store's directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The line in it, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// The type of the object.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub type_name: Option<String>,
    /// The object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Id>,
    /// What is wrong, or what was done.
    pub message: String,
}

/// What a check does about what it finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It tells.
    Look,
    /// It mends what can be mended safely, and tells the rest.
    Repair,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Checked {
    /// What is wrong.
    pub problems: Vec<Finding>,
    /// What was wrong, and what was done about it.
    pub repaired: Vec<Finding>,
}

/// Looks at all of a store.
///
/// # Errors
/// Those of the engine.
pub async fn check(store: &Store, mode: Mode, progress: Progress<'_>) -> Result<Checked> {
    let mut checked = Checked::default();
    if mode == Mode::Repair {
        let repaired = store.repair(&WHO).await?.into_iter();
        checked.repaired.extend(repaired.map(Finding::from));
    }
    let mut told = match store.inspect(&WHO).await {
        // So damaged that the engine cannot go on looking.
        Err(error) => vec![damage(error)?],
        Ok(told) => told,
    };
    let mut beside = Vec::new();
    for unserved in store.unserved(&WHO).await? {
        match unserved.row {
            Ok(row) => beside.push(Beside {
                path: unserved.path,
                type_id: unserved.type_id,
                row,
            }),
            Err(problem) if told.iter().any(|known| known.path == problem.path) => {}
            Err(problem) => told.push(problem),
        }
    }
    if !beside.is_empty() {
        let mut look = Look::new(store, beside).await?;
        look.judge(&mut told, &mut checked);
        if mode == Mode::Repair {
            look.repair(store, &mut checked).await?;
        }
        checked.problems.extend(look.left);
    }
    checked.problems.extend(told.into_iter().map(Finding::from));
    served::served(store, &mut checked, progress).await?;
    Ok(checked)
}

impl From<Problem> for Finding {
    fn from(problem: Problem) -> Self {
        Self {
            path: Some(problem.path),
            line: problem.line,
            message: problem.message,
            ..Self::default()
        }
    }
}

/// An object that lies in the store and is not served.
struct Beside {
    path: String,
    type_id: TypeId,
    row: Row,
}

/// What lies beside what is served, and what would become of it.
struct Look {
    beside: Vec<Beside>,
    plan: Plan,
    schema: Arc<Schema>,
    left: Vec<Finding>,
}

impl Look {
    async fn new(store: &Store, beside: Vec<Beside>) -> Result<Self> {
        let rows = beside.iter().map(|one| (one.type_id, one.row.clone()));
        let source = StoreSource::new(store.clone(), "", rows.collect()).await?;
        let mut opened = source.open().await?;
        let schema = Arc::clone(store.schema());
        let policy = Policy::KeepOldest;
        let plan = dedup::plan(&schema, &mut *opened.view, policy, &mut |_| {}).await?;
        Ok(Self {
            beside,
            plan,
            schema,
            left: Vec::new(),
        })
    }

    fn finding(&self, one: &Beside, message: String) -> Finding {
        Finding {
            path: Some(one.path.clone()),
            line: None,
            type_name: Some(self.schema.types[one.type_id].name.clone()),
            id: Some(one.row.id.clone()),
            message,
        }
    }

    /// Says of each object why it is not served.
    fn judge(&mut self, told: &mut Vec<Problem>, checked: &mut Checked) {
        for one in &self.beside {
            let why = self.why(one);
            let mut finding = self.finding(one, format!("is not served: {why}"));
            if let Some(at) = told.iter().position(|problem| problem.path == one.path) {
                finding.line = told.remove(at).line;
            }
            self.left.push(finding);
        }
        for dropped in &self.plan.dropped {
            let is_beside = self.beside.iter().any(|one| one.row.id == dropped.id);
            if !is_beside {
                checked.problems.push(Finding {
                    type_name: Some(dropped.type_name.clone()),
                    id: Some(dropped.id.clone()),
                    message: format!(
                        "has the key {} of {}, which is older and not served; \
                         osis migrate --dedup says which of them stays",
                        dropped.key, dropped.kept
                    ),
                    ..Finding::default()
                });
            }
        }
    }

    fn why(&self, one: &Beside) -> String {
        let name = &self.schema.types[one.type_id].name;
        let is_own = |ty: &str, id: &Id| ty == name && *id == one.row.id;
        let dropped = self.plan.dropped.iter();
        if let Some(dropped) = dropped.into_iter().find(|d| is_own(&d.type_name, &d.id)) {
            return format!("{name} {} has its key {}", dropped.kept, dropped.key);
        }
        let dangling = self.plan.dangling.iter();
        match dangling.into_iter().find(|d| is_own(&d.type_name, &d.id)) {
            Some(dangling) => dangling.message.clone(),
            None => "what it refers to is not served either".to_owned(),
        }
    }

    /// Puts what is a duplicate aside, and takes in what then keeps all rules.
    async fn repair(&mut self, store: &Store, checked: &mut Checked) -> Result<()> {
        let order: Vec<TypeId> = groups(&self.schema).into_iter().flatten().collect();
        for type_id in order {
            for at in 0..self.beside.len() {
                let one = &self.beside[at];
                if one.type_id != type_id {
                    continue;
                }
                if let Some(done) = self.mend(store, one).await? {
                    self.left
                        .retain(|left| left.path.as_ref() != Some(&one.path));
                    checked.repaired.push(self.finding(one, done));
                }
            }
        }
        Ok(())
    }

    /// Mends one; what was done, if anything could be.
    async fn mend(&self, store: &Store, one: &Beside) -> Result<Option<String>> {
        let Some(row) = self.plan.row(&self.schema, one.type_id, one.row.clone()) else {
            let why = self.why(one);
            let now = store.set_aside(&WHO, &one.path).await?;
            return Ok(Some(format!("was put aside as {now}: {why}")));
        };
        let op = Op::Mirror {
            objects: vec![MirrorObject {
                type_id: one.type_id,
                id: row.id.clone(),
                row: Some(row),
            }],
        };
        let batch = Batch::of(vec![op]);
        let tried = Batch {
            dry_run: true,
            ..batch.clone()
        };
        match store.write_one(&WHO, tried).await {
            Ok(_) => {}
            Err(error) if is_rule(error.kind()) => return Ok(None),
            Err(error) => return Err(error),
        }
        // A file that was refused is a person's, and is never written over.
        let now = store.set_aside(&WHO, &one.path).await?;
        store.write_one(&WHO, batch).await?;
        Ok(Some(format!(
            "is served now, for it refers to what took the place of a duplicate; its file as it was \
             is {now}"
        )))
    }
}

fn is_rule(kind: &ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Conflict { .. } | ErrorKind::Reference { .. } | ErrorKind::Invalid(_)
    )
}

/// The damage that an error tells of; any other error comes back.
fn damage(error: Error) -> Result<Problem> {
    match error.kind() {
        ErrorKind::Corrupt { path, line } => Ok(Problem {
            path: path.clone(),
            line: *line,
            message: error.message().to_owned(),
        }),
        _ => Err(error),
    }
}
