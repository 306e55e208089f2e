//! What a person sees, and does.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::chromium::Chromium;
use crate::world::{TARGET_URL, Version, World, register};

const DESK: [u32; 2] = [1280, 900];
const PHONE: [u32; 2] = [390, 844];
const ARROW_DOWN: char = '\u{e015}';
const END: char = '\u{e010}';

const BOTH_WAYS: &str = "[{ name: us-to-eu, source: us-east, target: eu-west, context: .us }, \
                         { name: eu-to-us, source: eu-west, target: us-east, context: .eu }]";

fn order(fields: &[&str]) -> String {
    let fields: Vec<Value> =
        fields.iter().map(|name| json!({ "name": name, "type": "string" })).collect();
    json!({ "type": "record", "name": "Order", "fields": fields }).to_string()
}

fn version<'a>(subject: &'a str, version: usize, id: usize, text: &'a str) -> Version<'a> {
    Version { subject, version, id, text }
}

/// Asks the mirror itself; gives the status.
fn ask(world: &World, method: &str, path: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(&world.address).unwrap();
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap().to_owned()
}

#[track_caller]
fn no_faults(browser: &Chromium) {
    assert_eq!(browser.faults(), [""; 0], "the browser saw faults");
}

#[test]
fn two_links_are_drawn_and_their_schemas_compared_and_a_broker_that_is_away_is_named() {
    let [first, second] = [order(&["id", "amount"]), order(&["id", "amount", "currency"])];
    let world = World::start(BOTH_WAYS, |mocks| {
        let orders =
            [version("orders-value", 1, 1, &first), version("orders-value", 2, 2, &second)];
        register(&mocks.source, orders);
        register(&mocks.target, [version("users-value", 1, 1, r#""string""#)]);
    });
    let browser = Chromium::open(&world.url(""), DESK);
    browser.reads("#verdict", "All 2 links are following");
    browser.reads(".wrong", "Nothing is wrong. Everything their sources hold is in their targets.");
    assert_eq!(browser.count(".cluster.box"), 2);
    for name in ["us-to-eu", "eu-to-us"] {
        let cards = browser
            .run("return [...document.querySelectorAll('.card')].map((card) => card.innerText)");
        assert!(cards.to_string().contains(name), "{cards}");
    }
    browser.reads("#connection", "Live");
    browser.keep_picture("page-light.png");
    see_the_schemas(&world, &browser);

    browser.go(&world.url(""));
    world.mocks.source.down().unwrap();
    let wrong = browser.reads(".wrong", "us-to-eu has waited");
    assert!(wrong.contains("us-east"), "the cluster is named: {wrong}");
    assert!(wrong.contains("It tries again by itself"), "{wrong}");
    browser.resize(PHONE);
    browser.holds("return document.documentElement.scrollWidth <= innerWidth");
    browser.reads(".picture.narrow", "waiting");
    browser.keep_picture("page-phone.png");
    world.mocks.source.up().unwrap();
    browser.reads("#verdict", "All 2 links are following");
    no_faults(&browser);
}

/// From the list to the texts, what differs between versions, and back to what was written.
fn see_the_schemas(world: &World, browser: &Chromium) {
    browser.go(&world.url("#/us-east/us-to-eu/subjects"));
    let rows = browser.reads(".grid", ":.us:orders-value");
    assert!(rows.contains("same") && rows.contains("v2 id 2"), "{rows}");
    browser.reads(".both", "All say the same on both sides.");
    assert!(browser.text(".contexts").contains("READONLY"), "the context's mode is told");
    browser.click(".space a");
    browser.reads(".answer", "The texts are the same, byte by byte.");
    browser.run(
        "const pick = document.querySelector('[data-pick=one]'); pick.value = 'source 1'; \
         pick.dispatchEvent(new Event('input', { bubbles: true }))",
    );
    browser.reads(".answer", "0 lines removed");
    browser.holds(
        "return [...document.querySelectorAll('.code.added')].some((line) => line.innerText.includes('currency'))",
    );
    browser.keep_picture("page-schema.png");
    browser.go(&world.url("#/us-east/us-to-eu/writes"));
    let writes = browser.reads(".writes", ":.us:orders-value");
    assert!(writes.contains("put"), "{writes}");
    browser.go(&world.url("#/us-east/us-to-eu/verify"));
    browser.reads("main", "Are both sides equal?");
    browser.click("[data-act=verify]");
    browser.reads(".verified", "Equal: ");
}

#[test]
fn a_halted_link_comes_first_with_its_reason_and_an_admin_pauses_and_resumes_another() {
    let world = World::start(
        "[{ name: us-to-eu, source: us-east, target: eu-west, context: .us }]",
        |mocks| {
            register(&mocks.source, [version("orders-value", 1, 1, r#""string""#)]);
            register(&mocks.target, [version(":.us:foreign", 1, 1, r#""int""#)]);
        },
    );
    let made = json!({
        "name": "made", "contextType": "CUSTOM", "context": "made",
        "config": { "schema.registry.url": TARGET_URL },
    });
    let browser = Chromium::open(&world.url(""), DESK);
    let wrong = browser.reads(".wrong", "us-to-eu has stood still");
    assert!(wrong.contains("adopt"), "its reason says what to do: {wrong}");
    assert!(browser.run("return document.title").to_string().contains('!'));
    assert_eq!(ask(&world, "POST", "/us-east/exporters", &made.to_string()), "200");
    browser.reads(".links", "made");
    browser.reads(".links tr:nth-child(2)", "following");
    browser.develop(
        "Emulation.setEmulatedMedia",
        &json!({ "features": [{ "name": "prefers-color-scheme", "value": "dark" }] }),
    );
    browser.reads("#verdict", "Of 2 links, 1 stands still");
    browser.keep_picture("page-dark.png");

    browser.go(&world.url("#/us-east/us-to-eu"));
    browser.reads("main", "This link stands in the file of the process");
    browser.go(&world.url("#/us-east/made"));
    browser.reads(".state-line", "following");
    browser.click("[data-act=pause]");
    browser.accept();
    browser.reads(".state-line", "paused");
    browser.click("[data-act=reset]");
    browser.accept();
    browser.reads("#said", "made is reset");
    browser.click("[data-act=resume]");
    browser.reads(".state-line", "following");
    no_faults(&browser);
}

#[test]
fn an_incident_that_is_acknowledged_makes_no_link_look_amiss_and_is_told_with_who_and_why() {
    let world = World::start(
        "[{ name: us-to-eu, source: us-east, target: eu-west, context: .us }]",
        |mocks| {
            let two = [
                version("orders-value", 1, 1, r#""string""#),
                version("users-value", 1, 1, r#""int""#),
            ];
            register(&mocks.source, two);
        },
    );
    let browser = Chromium::open(&world.url(""), DESK);
    browser.reads(".wrong", "us-to-eu copies all but 1 key");
    let body = json!({ "key": "users-value v1", "why": "nobody reads it", "by": "alice" });
    let path = "/links/us-to-eu/incidents/ack";
    assert_eq!(ask(&world, "POST", path, &body.to_string()), "200");
    browser.reads("#verdict", "The link is following");
    browser.go(&world.url("#/us-east/us-to-eu/incidents"));
    browser.reads("main", "0 incidents, 0 held keys, 1 acknowledged incident");
    let told = browser.reads(".set-asides", "Acknowledged by alice, ");
    assert!(told.contains(": nobody reads it") && !told.contains("What to do"), "{told}");
    browser.go(&world.url("#/us-east/us-to-eu/verify"));
    browser.click("[data-act=verify]");
    browser.reads(".verified", "Equal but for what is acknowledged: ");
    no_faults(&browser);
}

#[test]
fn over_tls_a_reader_sees_live_what_an_admin_changes_each_by_name_and_secret() {
    let logins = "[{ name: eve, role: read, secret: eves-long-secret }, \
                   { name: bob, role: admin, secret: bobs-long-secret }]";
    let links = "[{ name: us-to-eu, source: us-east, target: eu-west, context: .us }]";
    let world = World::start_for(logins, links);
    let (eves, bobs) = ("eve:eves-long-secret", "bob:bobs-long-secret");
    let reader = Chromium::open(&world.url_as(eves, ""), DESK);
    reader.reads("#connection", "Live");
    reader.reads(".links", "us-to-eu");
    let admin = Chromium::open(&world.url_as(bobs, ""), DESK);
    admin.reads("#connection", "Live");
    let made = json!({
        "name": "made", "contextType": "CUSTOM", "context": "made",
        "config": { "schema.registry.url": TARGET_URL },
    });
    // From the page, as its own scripts ask.
    admin.run(&format!(
        "fetch(location.origin + '/us-east/exporters', {{ method: 'POST', body: JSON.stringify({made}) }})"
    ));
    reader.reads(".links", "made");
    admin.go(&world.url_as(bobs, "#/us-east/made"));
    admin.reads(".state-line", "following");
    admin.click("[data-act=pause]");
    admin.accept();
    admin.reads(".state-line", "paused");
    reader.reads(".links", "paused");
    reader.go(&world.url_as(eves, "#/us-east/made"));
    reader.reads(".state-line", "paused");
    assert_eq!(reader.count("[data-act=resume]"), 0, "whoever reads may change nothing");
    no_faults(&admin);
    no_faults(&reader);
}

#[test]
fn five_thousand_subjects_are_searched_and_scrolled_and_few_are_drawn() {
    let names: Vec<String> =
        (0..5_000).map(|at| format!("team-{:02}.events-{at:04}-value", at % 40)).collect();
    let world = World::start(
        "[{ name: us-to-eu, source: us-east, target: eu-west, context: .us }]",
        |mocks| {
            let all = names.iter().enumerate();
            register(&mocks.source, all.map(|(at, name)| version(name, 1, at + 1, r#""string""#)));
        },
    );
    let browser = Chromium::open(&world.url("#/us-east/us-to-eu/subjects"), DESK);
    browser.reads(".state-line", "following");
    browser.reads(".both", "5,000 subjects. All say the same on both sides.");
    browser.reads(".space", "team-00.events-0000-value");
    let drawn = browser.count(".space .row");
    assert!((10..80).contains(&drawn), "{drawn} rows are drawn");
    browser.keep_picture("page-subjects.png");

    browser.run("document.querySelector('.window').focus()");
    browser.press(ARROW_DOWN);
    browser.holds(
        "return document.activeElement?.closest('.row')?.getAttribute('aria-rowindex') === '2'",
    );
    browser.press(END);
    browser.reads(".space", "team-39.events-4999-value");
    browser.holds("return document.activeElement?.innerText === 'team-39.events-4999-value'");
    assert!(browser.count(".space .row") < 80, "few are drawn wherever one is");

    browser.type_into("[data-input=subjects]", "EVENTS-4321");
    browser.reads(".both", "1 subject with “EVENTS-4321”");
    assert_eq!(browser.count(".space .row"), 1);
    browser.resize(PHONE);
    browser.holds("return document.documentElement.scrollWidth <= innerWidth");
    no_faults(&browser);
}
