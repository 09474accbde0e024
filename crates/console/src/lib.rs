//! HTML pages and SVG charts made from the API's view types.
