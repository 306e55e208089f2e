//! What a broker counts of the bytes that it hands out.

use crate::process::Port;
use crate::process::Setup;
use crate::process::new_folder;
use crate::process::run_tool;

/// A broker's own counters, over JMX.
pub(crate) struct Meter {
    port: Port,
}

impl Meter {
    pub(crate) fn reserve() -> Self {
        Self { port: Port::reserve() }
    }

    /// How the broker is started that is to be asked.
    pub(crate) fn setup(&self) -> Setup {
        let port = self.port.number;
        let of_jmx = |setting: String| format!("-Dcom.sun.management.jmxremote.{setting}");
        let settings = [
            format!("port={port}"),
            format!("rmi.port={port}"),
            "host=127.0.0.1".to_owned(),
            "authenticate=false".to_owned(),
            "ssl=false".to_owned(),
        ];
        let mut jvm: Vec<String> = settings.map(of_jmx).into();
        jvm.push("-Djava.rmi.server.hostname=127.0.0.1".to_owned());
        Setup { jvm, ..Setup::default() }
    }

    /// Bytes of a topic that the broker has handed out since it started.
    pub(crate) fn bytes_out(&self, topic: &str) -> u64 {
        let url = format!("service:jmx:rmi:///jndi/rmi://127.0.0.1:{}/jmxrmi", self.port.number);
        let name = "kafka.server:type=BrokerTopicMetrics,name=BytesOutPerSec";
        let words = [
            "--jmx-url",
            &url,
            "--object-name",
            &format!("{name},topic={topic}"),
            "--attributes",
            "Count",
            "--one-time",
        ];
        let folder = new_folder("meter");
        let told = run_tool(folder.path(), "org.apache.kafka.tools.JmxTool", &words);
        // A line of names, and one of the time and the count.
        let count = told.lines().last().and_then(|line| line.rsplit(',').next());
        let count = count.and_then(|count| count.trim().trim_matches('"').parse().ok());
        count.unwrap_or_else(|| panic!("no count of bytes: {told}"))
    }
}
