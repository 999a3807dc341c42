package pipes

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Metadata is a set of named, displayable values.
type Metadata map[string]Value

// A Value is one metadata value with its Dagster type. Make one by a constructor such as [Int] or [Text]; a
// constructor's error comes up when the value is reported. The zero Value is not valid: use [Null].
type Value struct {
	kind string
	raw  json.RawMessage
	err  error

	rows  *tableRows // of a table, so that some can be left out
	text  string     // of a text that may be shortened
	whole int        // length in bytes of the text before it was shortened
}

// errNoValue is the error of the zero Value.
var errNoValue = errors.New("value is empty; use pipes.Null for no value")

// Err returns why the value cannot be reported, nil if it can.
func (v Value) Err() error {
	if v.err == nil && v.kind == "" {
		return errNoValue
	}
	return v.err
}

// Type returns the value's Dagster type, such as "int"; "" for the zero Value.
func (v Value) Type() string {
	return v.kind
}

// MarshalJSON writes the value as the protocol has it, with its type.
func (v Value) MarshalJSON() ([]byte, error) {
	if err := v.Err(); err != nil {
		return nil, err
	}
	return marshal(struct {
		Type string          `json:"type"`
		Raw  json.RawMessage `json:"raw_value"`
	}{v.kind, v.raw})
}

// Text is a plain text.
func Text(s string) Value { return longText("text", s) }

// URL is a link.
func URL(url string) Value { return textValue("url", url) }

// Path is a place in a file system or an object store.
func Path(path string) Value { return textValue("path", path) }

// Notebook is the path of a notebook.
func Notebook(path string) Value { return textValue("notebook", path) }

// Markdown is a text that Dagster shows formatted.
func Markdown(text string) Value { return longText("md", text) }

// DagsterRun is a link to a Dagster run.
func DagsterRun(runID string) Value { return textValue("dagster_run", runID) }

// textValue is a value that is a string on the wire.
func textValue(kind, s string) Value {
	raw, err := textRaw(s)
	return Value{kind: kind, raw: raw, err: err}
}

// longText is a text that may be shortened.
func longText(kind, s string) Value {
	v := textValue(kind, s)
	v.text, v.whole = s, len(s)
	return v
}

// withText returns the value with the first n bytes of its text.
func (v Value) withText(n int) Value {
	short := longText(v.kind, shorten(v.text, n))
	short.text, short.whole = cut(v.text, n), v.whole
	return short
}

// textRaw encodes a string, which must be valid UTF-8.
func textRaw(s string) (json.RawMessage, error) {
	if !utf8.ValidString(s) {
		return nil, fmt.Errorf("text %q is not valid UTF-8", shorten(s, 100))
	}
	return marshal(s)
}

// Asset is a link to the asset with the given key parts. Dagster reads it split at every slash, so a part cannot hold
// one.
func Asset(parts ...string) Value {
	for _, part := range parts {
		if part == "" || strings.Contains(part, "/") {
			err := fmt.Errorf("asset key %q has a part that is empty or holds a slash, which Dagster cannot link to", parts)
			return Value{kind: "asset", err: err}
		}
	}
	if len(parts) == 0 {
		return Value{kind: "asset", err: errors.New("asset key has no parts")}
	}
	return textValue("asset", strings.Join(parts, "/"))
}

// Int is an integer.
func Int(i int64) Value { return Value{kind: "int", raw: strconv.AppendInt(nil, i, 10)} }

// Uint is an integer above the range of [Int].
func Uint(u uint64) Value { return Value{kind: "int", raw: strconv.AppendUint(nil, u, 10)} }

// BigInt is an integer of any size.
func BigInt(i *big.Int) Value {
	if i == nil {
		return Value{kind: "int", err: errors.New("big integer is nil")}
	}
	return Value{kind: "int", raw: i.Append(nil, 10)}
}

// Float is a number that stays a float also if it is whole. Dagster's store cannot keep NaN and infinities.
func Float(f float64) Value {
	raw, err := floatRaw(f)
	return Value{kind: "float", raw: raw, err: err}
}

// floatRaw encodes a finite number so that a reader takes it for a float: with a point or an exponent.
func floatRaw(f float64) (json.RawMessage, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return nil, fmt.Errorf("float %v is not a JSON number; report it as text or null", f)
	}
	format := byte('f')
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	raw := strconv.AppendFloat(nil, f, format, -1, 64)
	if !strings.ContainsAny(string(raw), ".e") {
		raw = append(raw, ".0"...)
	}
	return raw, nil
}

// Bool is true or false.
func Bool(b bool) Value { return Value{kind: "bool", raw: strconv.AppendBool(nil, b)} }

// Null is the absence of a value.
func Null() Value { return Value{kind: "null", raw: json.RawMessage("null")} }

// Timestamp is a moment, in microseconds.
func Timestamp(t time.Time) Value {
	if year := t.UTC().Year(); year < 1 || year > 9999 {
		return Value{kind: "timestamp", err: fmt.Errorf("timestamp has the year %d; expected 1 to 9999", year)}
	}
	raw, err := floatRaw(float64(t.UnixMicro()) / 1e6)
	return Value{kind: "timestamp", raw: raw, err: err}
}

// JSON is any value that encodes to a JSON object, array, string or null; Dagster takes no bare number or boolean.
func JSON(v any) Value {
	raw, err := marshal(v)
	if err != nil {
		return Value{kind: "json", err: err}
	}
	if !strings.ContainsRune(`{["n`, rune(raw[0])) {
		err = fmt.Errorf("JSON %s is a bare number or boolean; use Int, Float or Bool", shorten(string(raw), 100))
	}
	return Value{kind: "json", raw: raw, err: err}
}

// Infer is a value whose type Dagster finds by itself: text, float, bool, int or null; anything else becomes JSON.
func Infer(v any) Value {
	if typed, ok := v.(Value); ok {
		return typed
	}
	raw, err := scalarRaw(v)
	if errors.Is(err, errNotScalar) {
		raw, err = marshal(v)
	}
	value := Value{kind: "__infer__", raw: raw, err: err}
	if text, ok := v.(string); ok {
		value.text, value.whole = text, len(text)
	}
	return value
}

// errNotScalar tells that scalarRaw does not know a type.
var errNotScalar = errors.New("not a scalar")

// scalarRaw encodes a string, number, boolean or nil, exactly.
func scalarRaw(v any) (json.RawMessage, error) {
	switch v := v.(type) {
	case string:
		return textRaw(v)
	case float64:
		return floatRaw(v)
	case float32:
		f, err := strconv.ParseFloat(strconv.FormatFloat(float64(v), 'g', -1, 32), 64)
		if err != nil {
			return nil, err
		}
		return floatRaw(f)
	case *big.Int:
		big := BigInt(v)
		return big.raw, big.err
	case nil, bool, int, int8, int16, int32, int64, uint, uint8, uint16, uint32, uint64, json.Number:
		return marshal(v)
	case time.Time:
		return marshal(v)
	}
	return nil, fmt.Errorf("%w: %T", errNotScalar, v)
}

// shorten cuts s to at most n bytes, not within a character, and marks the cut by an ellipsis.
func shorten(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}
