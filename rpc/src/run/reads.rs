//! Runs of reads.

use osis_core::Schema;
use osis_core::backend::Scope;
use osis_core::input::Target;
use osis_core::output::{Expand, Object, Shape};
use osis_core::query::aggregate::sort_groups;
use osis_core::query::cursor::{Cursor, Fingerprint};
use osis_core::schema::TypeId;
use osis_core::store::Reader;
use osis_core::value::Value;

use super::feed::changes;
use super::guard::bounded;
use super::{Entries, Runner};
use crate::answers::Answer;
use crate::envelope::ReplyId;
use crate::error::WireError;
use crate::reply::Sink;
use crate::requests::{Figures, Find, ListPage, Read};

/// Something to answer: a `_get` from what was gathered, or a read of its own.
enum Step {
    Got {
        group: usize,
        place: usize,
        shape: Shape,
    },
    Own(Read),
}

/// What is to be done for each request, or why it cannot be.
type Steps = Vec<(ReplyId, Result<Step, WireError>)>;

/// The `_get`s of one type that bring the same along.
#[derive(Debug)]
struct Gathered {
    type_id: TypeId,
    expand: Vec<Expand>,
    targets: Vec<Target>,
}

/// What came of [`Gathered`]: each object or why there is none, or why there are none at all.
type Fetched = Result<Vec<Option<Result<Object, WireError>>>, WireError>;

impl Runner<'_> {
    /// Answers reads from one snapshot, `_get`s of one kind in one call.
    pub(super) async fn reads(&self, entries: Entries<Read>, sink: &mut dyn Sink) {
        // Nobody learns what a read without id comes to.
        let entries = entries
            .into_iter()
            .filter_map(|(id, read)| Some((id?, read)));
        let (steps, groups) = plan(entries);
        let mut reader = match scope(self.store.schema(), &steps, &groups) {
            None => Err(WireError::internal()),
            Some(scope) => {
                let open = self
                    .store
                    .read(&self.caller.principal, scope, Some(self.deadline));
                bounded(self.panics, self.deadline, async { Ok(open.await?) }).await
            }
        };
        let mut fetched = Vec::with_capacity(groups.len());
        for group in &groups {
            fetched.push(self.fetch(&mut reader, group).await);
        }
        for (id, step) in steps {
            let answer = match step {
                Ok(_) if sink.len() > self.limits.max_response => Err(too_much()),
                Ok(Step::Got {
                    group,
                    place,
                    shape,
                }) => match &mut fetched[group] {
                    Ok(objects) => {
                        let object = objects[place].take().unwrap_or(Err(WireError::internal()));
                        object.map(|object| Answer::Object(object, shape))
                    }
                    Err(error) => Err(error.clone()),
                },
                Ok(Step::Own(read)) => self.read(&mut reader, read).await,
                Err(error) => Err(error),
            };
            sink.put(Some(&id), answer.as_ref().map_err(Clone::clone));
        }
    }

    async fn fetch(&self, reader: &mut Result<Reader, WireError>, group: &Gathered) -> Fetched {
        let reader = reader.as_mut().map_err(|error| error.clone())?;
        let Gathered {
            type_id,
            expand,
            targets,
        } = group;
        let work = async { Ok(reader.get(*type_id, targets, expand).await?) };
        let objects = bounded(self.panics, self.deadline, work).await?;
        if objects.len() != targets.len() {
            tracing::error!(
                wanted = targets.len(),
                got = objects.len(),
                "objects are missing"
            );
            return Err(WireError::internal());
        }
        Ok(objects
            .into_iter()
            .map(|object| Some(object.map_err(WireError::from)))
            .collect())
    }

    async fn read(
        &self,
        reader: &mut Result<Reader, WireError>,
        read: Read,
    ) -> Result<Answer, WireError> {
        match read {
            Read::Discover => Ok(Answer::Document(self.document.clone())),
            Read::Info => {
                let reader = reader.as_mut().map_err(|error| error.clone())?;
                let work = async { Ok(Answer::Info(self.store.info(reader).await?)) };
                bounded(self.panics, self.deadline, work).await
            }
            read => {
                let reader = reader.as_mut().map_err(|error| error.clone())?;
                bounded(
                    self.panics,
                    self.deadline,
                    answer(self.store.schema(), reader, read),
                )
                .await
            }
        }
    }
}

/// Puts the `_get`s that can be answered together, together.
fn plan(
    entries: impl Iterator<Item = (ReplyId, Result<Read, WireError>)>,
) -> (Steps, Vec<Gathered>) {
    let mut groups: Vec<Gathered> = Vec::new();
    let steps = entries.map(|(id, read)| {
        let step = read.map(|read| match read {
            Read::Get(get) => {
                let (type_id, expand) = (get.type_id, &get.shape.expand);
                let known = groups
                    .iter()
                    .position(|group| group.type_id == type_id && group.expand == *expand);
                let group = known.unwrap_or_else(|| {
                    let expand = expand.clone();
                    groups.push(Gathered {
                        type_id,
                        expand,
                        targets: Vec::new(),
                    });
                    groups.len() - 1
                });
                let targets = &mut groups[group].targets;
                targets.push(get.target);
                Step::Got {
                    group,
                    place: targets.len() - 1,
                    shape: get.shape,
                }
            }
            read => Step::Own(read),
        });
        (id, step)
    });
    (steps.collect(), groups)
}

/// How much of a snapshot's promise a run needs; `None` if it needs no snapshot.
fn scope(
    schema: &Schema,
    steps: &[(ReplyId, Result<Step, WireError>)],
    groups: &[Gathered],
) -> Option<Scope> {
    let steps = steps.iter().filter_map(|(_, step)| step.as_ref().ok());
    let own: Vec<&Read> = steps
        .filter_map(|step| match step {
            Step::Own(Read::Discover) | Step::Got { .. } => None,
            Step::Own(read) => Some(read),
        })
        .collect();
    let single = match (own.as_slice(), groups) {
        ([], []) => return None,
        ([read], []) => is_one_call(schema, read),
        ([], [group]) => group.expand.is_empty() && group.targets.len() == 1,
        _ => false,
    };
    let searches = own.iter().any(|read| matches!(read, Read::Find(_)));
    let alone = own.len() == 1 && groups.is_empty();
    Some(match (single, searches && !alone) {
        (true, _) => Scope::Single,
        (false, true) => Scope::Search,
        (false, false) => Scope::Consistent,
    })
}

/// Whether the store answers a read by one call of the engine.
fn is_one_call(schema: &Schema, read: &Read) -> bool {
    match read {
        Read::List(page) => page.shape.expand.is_empty() && !page.list.count,
        Read::Count(_) => true,
        Read::Changes(changes) => !changes.objects,
        // One that is answered from a roll-up may take several pages of it.
        Read::Aggregate(figures) => {
            let ty = &schema.types[figures.aggregate.type_id];
            ty.log().is_none_or(|log| log.rollup.is_none())
        }
        Read::Get(_) | Read::Find(_) | Read::Info | Read::Discover => false,
    }
}

async fn answer(schema: &Schema, reader: &mut Reader, read: Read) -> Result<Answer, WireError> {
    match read {
        Read::List(page) => list(reader, page).await,
        Read::Find(search) => find(reader, *search).await,
        Read::Count(count) => Ok(Answer::Count(
            reader.count(count.type_id, &count.filter).await?,
        )),
        Read::Aggregate(figures) => aggregate(schema, reader, figures).await,
        Read::Changes(wanted) => {
            let (feed, current) = changes(reader, &wanted).await?;
            Ok(Answer::Changes(feed, current))
        }
        // Answered without this, by `Runner::reads`.
        Read::Get(_) | Read::Info | Read::Discover => Err(WireError::internal()),
    }
}

async fn list(reader: &mut Reader, page: ListPage) -> Result<Answer, WireError> {
    let ListPage {
        list,
        shape,
        fingerprint,
    } = page;
    let page = reader.list(&list).await?;
    let next = page.next.map(|position| cursor(fingerprint, position));
    Ok(Answer::Page {
        items: page.items,
        shape,
        next,
        total: page.total,
    })
}

async fn find(reader: &mut Reader, find: Find) -> Result<Answer, WireError> {
    let Find {
        find,
        shape,
        fingerprint,
    } = find;
    let mut found = reader.find(&find).await?;
    let next = found.next.take();
    Ok(Answer::Hits {
        found,
        find: Box::new(find),
        shape,
        next: next.map(|position| cursor(fingerprint, position)),
    })
}

fn cursor(fingerprint: Fingerprint, position: Vec<Value>) -> String {
    Cursor {
        fingerprint,
        position,
    }
    .encode()
}

async fn aggregate(
    schema: &Schema,
    reader: &mut Reader,
    figures: Figures,
) -> Result<Answer, WireError> {
    let Figures {
        aggregate,
        sort,
        limit,
    } = figures;
    let (mut groups, computed) = reader.aggregate(&aggregate).await?;
    sort_groups(
        &mut groups,
        &aggregate,
        &schema.types[aggregate.type_id],
        sort.as_ref(),
    )?;
    groups.truncate(limit);
    Ok(Answer::Rows(groups, aggregate, computed))
}

fn too_much() -> WireError {
    WireError::unavailable("the answer to this batch is too long already: ask for this in another")
}
