//! What the page shows.

use wasm_bindgen::JsCast as _;
use wasm_bindgen::closure::Closure;
use web_sys::{Document, Element, HtmlElement, UrlSearchParams, Window};

/// Updates that are shown.
const SHOWN: u32 = 6;

/// The elements of the page, by their ids in `index.html`.
pub(crate) struct View {
    window: Window,
    document: Document,
}

impl View {
    pub(crate) fn new() -> Self {
        let window = web_sys::window().expect("it is a page and no worker");
        let document = window.document().expect("a page has a document");
        Self { window, document }
    }

    /// Returns a parameter of the page's URL.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        let search = self.window.location().search().ok()?;
        UrlSearchParams::new_with_str(&search).ok()?.get(name)
    }

    /// Shows a text.
    pub(crate) fn show(&self, id: &str, text: &str) {
        self.element(id).set_text_content(Some(text));
    }

    /// Shows how long ago the browser began to load the page.
    pub(crate) fn show_time(&self, id: &str) {
        let elapsed = self.window.performance().map_or(0.0, |performance| performance.now()) as u64;
        self.show(id, &format!("{elapsed} ms after the page began to load"));
    }

    /// Adds 1 to a number.
    pub(crate) fn count(&self, id: &str) {
        let shown = self.element(id).text_content().unwrap_or_default();
        self.show(id, &(shown.parse().unwrap_or(0_u64) + 1).to_string());
    }

    /// Adds a line to a list; the oldest one goes if there are many.
    pub(crate) fn add(&self, id: &str, text: &str) {
        let (list, line) = (self.element(id), self.document.create_element("li").expect("a name of HTML"));
        line.set_text_content(Some(text));
        list.append_child(&line).expect("a list takes lines");
        if list.child_element_count() > SHOWN
            && let Some(first) = list.first_element_child()
        {
            first.remove();
        }
    }

    /// Calls a function for each click on a button.
    pub(crate) fn on_click(&self, id: &str, click: impl FnMut() + 'static) {
        let click = Closure::<dyn FnMut()>::new(click);
        let button: HtmlElement = self.element(id).unchecked_into();
        button.set_onclick(Some(click.as_ref().unchecked_ref()));
        // The button stays as long as the page.
        click.forget();
    }

    fn element(&self, id: &str) -> Element {
        self.document.get_element_by_id(id).expect("it is in index.html")
    }
}
