//! Parameters by name or by position, put into the places that a method's signature has.

use osis_core::error::Faults;
use osis_core::json::Json;

use crate::signature::{Param, Takes};

/// Longest name of a caller's that an error repeats.
const NAME_MAX: usize = 200;

/// The parameters of one call. Optional ones that are null count as not given.
#[derive(Debug)]
pub(crate) struct Args {
    signature: &'static [Param],
    values: Vec<Option<Json>>,
}

impl Args {
    /// Binds parameters; what is unknown, too many or missing is noted as a fault.
    pub(crate) fn bind(
        signature: &'static [Param],
        params: Option<Json>,
        faults: &mut Faults,
    ) -> Self {
        let mut args = Self {
            signature,
            values: signature.iter().map(|_| None).collect(),
        };
        match params {
            Some(Json::Array(items)) => args.by_position(items, faults),
            Some(Json::Object(entries)) => args.by_name(entries, faults),
            _ => {}
        }
        for (param, value) in args.signature.iter().zip(&args.values) {
            if param.required && value.is_none() {
                faults.add(param.name, "is required");
            }
        }
        args
    }

    fn by_name(&mut self, entries: Vec<(String, Json)>, faults: &mut Faults) {
        for (name, json) in entries {
            // More faults than an answer tells are not looked for.
            if faults.len() >= Faults::MAX {
                return;
            }
            match self.signature.iter().position(|param| param.name == name) {
                Some(place) => self.put(place, json),
                None => {
                    let message = match names(self.signature) {
                        names if names.is_empty() => {
                            "is unknown: there are no parameters".to_owned()
                        }
                        names => format!("is unknown: the parameters are {names}"),
                    };
                    faults.add(cut(&name), message);
                }
            }
        }
    }

    fn by_position(&mut self, items: Vec<Json>, faults: &mut Faults) {
        let places: Vec<usize> = (0..self.signature.len())
            .filter(|&n| !self.signature[n].shares_position())
            .collect();
        let sent = items.len();
        for (json, &place) in items.into_iter().zip(&places) {
            let next = self.signature.get(place + 1);
            let is_key =
                matches!(json, Json::Object(_)) && next.is_some_and(Param::shares_position);
            self.put(place + usize::from(is_key), json);
        }
        if sent > places.len() {
            let message = format!("there are {} parameters, {sent} were given", places.len());
            faults.add(format!("params[{}]", places.len()), message);
        }
    }

    fn put(&mut self, place: usize, json: Json) {
        if self.signature[place].required || json != Json::Null {
            self.values[place] = Some(json);
        }
    }

    /// The value of a parameter, if it was given.
    pub(crate) fn get(&self, name: &str) -> Option<&Json> {
        let mut pairs = self.signature.iter().zip(&self.values);
        pairs
            .find(|(param, _)| param.name == name)
            .and_then(|(_, value)| value.as_ref())
    }

    /// Takes the value of a parameter out, if it was given.
    pub(crate) fn take(&mut self, name: &str) -> Option<Json> {
        let place = self.signature.iter().position(|param| param.name == name)?;
        self.values[place].take()
    }

    /// What a parameter takes.
    pub(crate) fn takes(&self, name: &str) -> Option<Takes> {
        self.signature
            .iter()
            .find(|param| param.name == name)
            .map(|param| param.takes)
    }
}

fn names(signature: &[Param]) -> String {
    signature
        .iter()
        .map(|param| param.name)
        .collect::<Vec<_>>()
        .join(", ")
}

/// A caller's name, short enough to be repeated.
pub(crate) fn cut(name: &str) -> String {
    match name.char_indices().nth(NAME_MAX) {
        None => name.to_owned(),
        Some((end, _)) => format!("{}…", &name[..end]),
    }
}

#[cfg(test)]
mod tests {
    use osis_core::error::{ErrorKind, Faults};
    use osis_core::json::Json;

    use super::Args;
    use crate::methods::{Action, Verb};

    fn bind(verb: Verb, params: &str) -> (Vec<(&'static str, String)>, Vec<String>) {
        let mut faults = Faults::default();
        let json = Json::parse(params.as_bytes()).unwrap();
        let args = Args::bind(Action::Of(0, verb).params(), Some(json), &mut faults);
        let pairs = args.signature.iter().zip(&args.values);
        let bound = pairs.filter_map(|(param, value)| {
            let json = value.as_ref()?;
            Some((param.name, serde_json::to_string(json).unwrap()))
        });
        let paths = match faults.into_error().kind() {
            ErrorKind::Invalid(faults) => faults.iter().map(|fault| fault.path.clone()).collect(),
            other => panic!("{other:?}"),
        };
        (bound.collect(), paths)
    }

    #[test]
    fn a_string_is_an_id_and_an_object_a_key() {
        let (bound, faults) = bind(Verb::Set, r#"["abcd", {"name": "x"}, 3, null, true]"#);
        let wanted = [
            ("id", r#""abcd""#),
            ("data", r#"{"name":"x"}"#),
            ("if_rev", "3"),
        ]
        .map(|(name, json)| (name, json.to_owned()));
        assert_eq!(bound[..3], wanted);
        assert_eq!(bound[3], ("upsert", "true".to_owned()));
        assert!(faults.is_empty());
        let (bound, _) = bind(Verb::Get, r#"[{"package_id": "a.b"}, ["versions"]]"#);
        assert_eq!(bound[0].0, "key");
        assert_eq!(bound[1].0, "expand");
    }

    #[test]
    fn unknown_missing_and_too_many_are_faults() {
        assert_eq!(
            bind(Verb::New, r#"{"date": {}, "x": 1}"#).1,
            ["date", "x", "data"]
        );
        assert_eq!(bind(Verb::New, "[]").1, ["data"]);
        assert_eq!(bind(Verb::Count, "[{}, 1, 2]").1, ["params[1]"]);
        assert_eq!(
            bind(Verb::New, r#"{"data": null}"#).0,
            [("data", "null".to_owned())]
        );
        assert!(
            bind(Verb::List, r#"{"filter": null, "limit": null}"#)
                .0
                .is_empty()
        );
    }
}
