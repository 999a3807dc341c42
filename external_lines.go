package metaxy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/internal/rowjson"
)

// linesAhead is how many samples a child holds at most that works sample by sample. More would not make it faster, and
// when it dies, or the samples become slow, these are its.
const linesAhead = 16

// askLines sends the samples of a batch as JSON lines and reads the answers. Of a paced batch it sends a few ahead, and none
// any more when the call has lasted long. With an error it returns what was answered before, and the samples that were not.
func (c *child) askLines(r relation, b *Batch) (answer, []int, error) {
	q := newLineQueue(c, r, b)
	defer q.end()
	a := answer{objects: map[int][]object{}}
	for begin := time.Now(); ; {
		if !b.paced || q.sent == 0 || time.Since(begin) <= callLimit {
			q.fill()
		}
		if len(q.open) == 0 {
			a.left = len(b.samples) - q.sent
			return a, nil, nil
		}
		line, err := c.readLine()
		if err == nil && len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		if err == nil {
			err = r.accept(b, line, q.open, &a)
		} else if !errors.Is(err, errAnswer) {
			err = c.death()
		}
		if err != nil {
			a.left = len(b.samples) - q.sent
			return a, slices.Sorted(maps.Values(q.open)), err
		}
	}
}

// A lineQueue sends the samples of a batch to a child beside the reading of its answers, since neither pipe holds everything.
type lineQueue struct {
	relation
	batch  *Batch
	enc    *lineEncoder
	ahead  int            // how many samples the child may hold
	sent   int            // samples
	open   map[string]int // those without an answer, by their ids in JSON
	chunks chan []byte
	ended  chan struct{}
}

func newLineQueue(c *child, r relation, b *Batch) *lineQueue {
	q := &lineQueue{relation: r, batch: b, enc: newLineEncoder(r, b), ahead: len(b.samples), open: map[string]int{},
		chunks: make(chan []byte, len(b.samples)), ended: make(chan struct{})}
	if b.paced {
		q.ahead = min(q.ahead, linesAhead)
	}
	go func() {
		defer close(q.ended)
		for lines := range q.chunks {
			_, _ = c.stdin.Write(lines) // a child that does not read shows by its exit
		}
	}()
	return q
}

// fill sends more samples when the child holds no more than half of what it may.
func (q *lineQueue) fill() {
	if q.sent == len(q.batch.samples) || len(q.open) > q.ahead/2 {
		return
	}
	var lines []byte
	for ; q.sent < len(q.batch.samples) && len(q.open) < q.ahead; q.sent++ {
		q.open[canonicalKey(q.relation, q.batch.samples[q.sent])] = q.sent
		lines = q.enc.line(lines, q.batch, q.sent)
	}
	q.chunks <- lines
}

// end waits until everything is written, if the child has answered everything; else the end of the child ends the writing.
func (q *lineQueue) end() {
	close(q.chunks)
	if len(q.open) == 0 {
		<-q.ended
	}
}

// accept takes one line of output as the answer to a sample.
func (r relation) accept(b *Batch, line []byte, open map[string]int, a *answer) error {
	members, err := decodeMembers(line)
	if err != nil {
		return fmt.Errorf("%w: %w: %s", errAnswer, err, shorten(string(line), 200))
	}
	var key []string
	for _, name := range r.keys {
		at := slices.IndexFunc(members, func(m member) bool { return m.name == name })
		if at < 0 {
			return fmt.Errorf("%w: no id column %q in %s", errAnswer, name, shorten(string(line), 200))
		}
		key = append(key, canonical(members[at].value))
	}
	s, ok := open[strings.Join(key, ",")]
	if !ok {
		return fmt.Errorf("%w: %s is not a sample that it holds: it was never sent, or is answered already: %s",
			errAnswer, shorten(strings.Join(key, ","), 200), shorten(string(line), 200))
	}
	delete(open, strings.Join(key, ","))
	objects, err := r.objects(b, s, members)
	if err != nil {
		b.fail(s, err) // an answer, but not one that can be stored
		return nil
	}
	a.objects[s] = objects
	return nil
}

// objects returns the rows of an answer, or the error that it reports.
func (r relation) objects(b *Batch, s int, members []member) ([]object, error) {
	var rows json.RawMessage
	members = slices.DeleteFunc(members, func(m member) bool {
		switch {
		case m.name == "rows" && r.expands:
			rows = m.value
			return true
		case m.name == "status": // of the sample, sent back
			return string(m.value) == strconv.Quote(b.samples[s].status.String())
		}
		return m.name == "error" && string(m.value) == "null"
	})
	for _, m := range members {
		if m.name != "error" {
			continue
		}
		var text string
		if json.Unmarshal(m.value, &text) != nil {
			text = string(m.value)
		}
		return nil, errors.New(text)
	}
	if !r.expands {
		return r.checkVersions(b, []object{encodeMembers(members)})
	}
	if rows == nil {
		return nil, fmt.Errorf("%w: a sample that is expanded is answered by its rows in \"rows\"", errAnswer)
	}
	out := []object{}
	if err := json.Unmarshal(rows, &out); err != nil {
		return nil, fmt.Errorf("%w: \"rows\" is %s, expected a list of objects", errAnswer, shorten(string(rows), 100))
	}
	return r.checkVersions(b, out)
}

// checkVersions refuses data versions of fields that the feature does not have.
func (r relation) checkVersions(b *Batch, objects []object) ([]object, error) {
	known := map[string]bool{}
	for _, f := range b.Feature.Spec().Fields {
		known[f.Key.StructKey()] = true
	}
	for _, o := range objects {
		var row struct {
			Versions map[string]json.RawMessage `json:"metaxy_data_version_by_field"`
		}
		if err := json.Unmarshal(o, &row); err != nil {
			return nil, fmt.Errorf("%w: %w: %s", errAnswer, err, shorten(string(o), 200))
		}
		for name := range row.Versions {
			if !known[name] {
				return nil, fmt.Errorf("%w: %s names the field %q, which %s does not have", errAnswer,
					feature.ColDataVersionByField, name, b.Feature.Key())
			}
		}
	}
	return objects, nil
}

// A member of a JSON object, in the order in which it stands.
type member struct {
	name  string
	value json.RawMessage
}

// decodeMembers refuses what is not one object without double members.
func decodeMembers(line []byte) ([]member, error) {
	if !json.Valid(line) {
		return nil, errors.New("not a line of JSON")
	}
	dec := json.NewDecoder(bytes.NewReader(line))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("not an object")
	}
	var out []member
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return nil, err
		}
		m := member{name: t.(string)}
		if err := dec.Decode(&m.value); err != nil {
			return nil, err
		}
		if slices.ContainsFunc(out, func(o member) bool { return o.name == m.name }) {
			return nil, fmt.Errorf("the member %q comes twice", m.name)
		}
		out = append(out, m)
	}
	return out, nil
}

func encodeMembers(members []member) object {
	out := []byte{'{'}
	for i, m := range members {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(append(rowjson.AppendString(out, m.name), ':'), m.value...)
	}
	return append(out, '}')
}

// canonical is the same text for equal JSON values of ids: however a string is escaped, and 5 for 5.0.
func canonical(raw json.RawMessage) string {
	var s string
	if raw[0] == '"' && json.Unmarshal(raw, &s) == nil {
		return string(rowjson.AppendString(nil, s))
	}
	if bytes.ContainsAny(raw, ".eE") {
		if f, err := strconv.ParseFloat(string(raw), 64); err == nil && f == float64(int64(f)) && f < 1<<53 && f > -1<<53 {
			return strconv.FormatInt(int64(f), 10)
		}
	}
	return string(raw)
}

func canonicalKey(r relation, s sample) string {
	parts := make([]string, len(r.keys))
	for i, name := range r.keys {
		parts[i] = canonical(rowjson.AppendValue(nil, column(s.rows, name), s.row))
	}
	return strings.Join(parts, ",")
}

// A lineEncoder writes samples as JSON lines.
type lineEncoder struct {
	aggregates bool
	head       []string // the id columns and the data version
	inputs     []string // the parents' columns
	headJSON   *rowjson.Encoder
	inputJSON  *rowjson.Encoder
	headRows   arrow.RecordBatch
	inputRows  arrow.RecordBatch
}

func newLineEncoder(r relation, b *Batch) *lineEncoder {
	e := &lineEncoder{aggregates: r.aggregates}
	ids := slices.Concat(b.Feature.Spec().IDColumns, r.keys)
	e.head = append(slices.Clone(ids), feature.ColDataVersion)
	for _, name := range columnNames(b.Rows.Schema()) {
		if !feature.IsSystemColumn(name) && (r.aggregates || !slices.Contains(ids, name)) {
			e.inputs = append(e.inputs, name)
		}
	}
	e.headRows, e.inputRows = withColumns(b.Rows, e.head), withColumns(b.Rows, e.inputs)
	e.headJSON, e.inputJSON = rowjson.NewEncoder(e.headRows.Schema()), rowjson.NewEncoder(e.inputRows.Schema())
	return e
}

// line appends a sample and its newline.
func (e *lineEncoder) line(dst []byte, b *Batch, s int) []byte {
	dst = append(dst, `{"status":"`...)
	dst = append(append(dst, b.Status.String()...), `",`...)
	dst = e.headJSON.AppendMembers(dst, e.headRows, b.first[s])
	switch {
	case e.aggregates:
		dst = append(dst, `,"inputs":[`...)
		for row := b.first[s]; row < b.first[s+1]; row++ {
			if row > b.first[s] {
				dst = append(dst, ',')
			}
			dst = e.inputJSON.AppendRow(dst, e.inputRows, row)
		}
		dst = append(dst, ']')
	case len(e.inputs) > 0:
		dst = e.inputJSON.AppendMembers(append(dst, ','), e.inputRows, b.first[s])
	}
	return append(dst, '}', '\n')
}
