//! Whoever watches the log: reads server-sent events with nothing of ours, and takes note of them as they came.

use std::fmt;
use std::io::{BufRead as _, BufReader};
use std::time::Duration;

use serde_json::Value;
use ureq::Agent;
use writ_proto::api::WatchPosition;

/// Longer than a node that lives is silent.
const SILENCE: Duration = Duration::from_secs(30);

/// An event as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its kind.
    pub event: String,
    /// Its id.
    pub id: String,
    /// Its data, as the node wrote it.
    pub data: String,
}

impl Event {
    /// The data.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// How far everything was told, if it says that.
    pub fn position(&self) -> Option<WatchPosition> {
        (self.event == "position").then(|| serde_json::from_str(&self.data).expect("a position can be read"))
    }
}

/// An open stream. It is closed when this is dropped.
pub struct Watcher(BufReader<ureq::BodyReader<'static>>);

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watcher")
    }
}

impl Watcher {
    /// Watches what the node at `base` tells, behind the event `last`; `query` is the part of the URL after `?`. The error
    /// says why not.
    pub fn open(base: &str, query: &str, last: Option<&str>) -> Result<Self, String> {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(SILENCE))
            .timeout_per_read(Some(SILENCE))
            .proxy(None)
            .build();
        let request = Agent::from(config).get(format!("{base}/v1/watch?{query}"));
        let request = last.into_iter().fold(request, |request, last| request.header("last-event-id", last));
        let mut response = request.call().map_err(|error| error.to_string())?;
        match response.status().as_u16() {
            200 => Ok(Self(BufReader::new(response.into_body().into_reader()))),
            status => Err(format!("{status} {}", response.body_mut().read_to_string().unwrap_or_default())),
        }
    }

    /// The next event; the error says how the stream ended.
    pub fn next_event(&mut self) -> Result<Event, String> {
        let mut fields: [Option<String>; 3] = Default::default();
        loop {
            let mut line = String::new();
            match self.0.read_line(&mut line) {
                Ok(0) => return Err("it ended".into()),
                Err(error) => return Err(error.to_string()),
                Ok(_) => {}
            }
            let Some(line) = line.strip_suffix('\n') else { return Err(format!("it broke off in `{line}`")) };
            if line.is_empty() {
                if let [Some(event), Some(id), Some(data)] = fields {
                    return Ok(Event { event, id, data });
                }
                assert!(fields.iter().all(Option::is_none), "an event lacks something: {fields:?}");
                continue;
            }
            let at = ["event: ", "id: ", "data: "].iter().position(|name| line.starts_with(name));
            match at {
                Some(at) => {
                    let value = line.split_once(": ").map(|(_, value)| value.to_owned());
                    assert!(std::mem::replace(&mut fields[at], value).is_none(), "`{line}` stands twice");
                }
                None => assert!(line.starts_with(':') || line.starts_with("retry: "), "a line `{line}`"),
            }
        }
    }

    /// All events up to the next position, and that.
    pub fn until_position(&mut self) -> Result<(Vec<Event>, WatchPosition), String> {
        let mut events = Vec::new();
        loop {
            let event = self.next_event()?;
            match event.position() {
                Some(position) => return Ok((events, position)),
                None => events.push(event),
            }
        }
    }
}
