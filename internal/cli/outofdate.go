package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
)

// checkDescription compares a checked-in description with what the features are now, and prints the differences.
func (a *app) checkDescription(ctx context.Context, e *Env, features []*feature.Feature, path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return setup(err)
	}
	var file map[string]any
	if err := json.Unmarshal(data, &file); err != nil {
		return setupf("%s: %w; expected what describe prints", path, err)
	}
	now, err := a.descriptionOf(ctx, e, features, true)
	if err != nil {
		return err
	}
	text, err := json.Marshal(now)
	if err != nil {
		return err
	}
	var current map[string]any
	if err := json.Unmarshal(text, &current); err != nil {
		return err
	}
	d := differences{}
	d.compare("", comparable(file), comparable(current))
	for _, line := range d {
		if _, err := fmt.Fprintln(a.stdout, line); err != nil {
			return err
		}
	}
	if len(d) > 0 {
		return fmt.Errorf("%s is out of date: differences=%d; renew it with: %s describe --portable > %s",
			path, len(d), a.program.Name, path)
	}
	return nil
}

// comparable is a description without what depends on the place. Columns that a table told are of the place too.
func comparable(d map[string]any) map[string]any {
	d = maps.Clone(d)
	delete(d, "program")
	delete(d, "store")
	list, _ := d["features"].([]any)
	features := make([]any, len(list))
	for i, v := range list {
		f, ok := v.(map[string]any)
		if features[i] = v; !ok {
			continue
		}
		f = maps.Clone(f)
		delete(f, "table_uri")
		if f["columns_from"] == fromTable {
			delete(f, "columns")
			delete(f, "columns_from")
			delete(f, "column_lineage")
		}
		features[i] = f
	}
	if list != nil {
		d["features"] = features
	}
	return d
}

// byName makes an object of a list of objects that each have a name of their own; ok is false for other values.
func byName(v any) (named map[string]any, ok bool) {
	list, ok := v.([]any)
	if !ok || len(list) == 0 {
		return nil, false
	}
	named = map[string]any{}
	for _, element := range list {
		object, ok := element.(map[string]any)
		if !ok {
			return nil, false
		}
		name := ""
		for _, member := range []string{"key", "name", "column", "feature"} {
			if text, ok := object[member].(string); ok && name == "" {
				name = text
			}
		}
		if _, twice := named[name]; twice || name == "" {
			return nil, false
		}
		named[name] = object
	}
	return named, true
}

// differences are lines that tell where a file says something else than the program.
type differences []string

// compare descends into objects. What a file leaves out of a feature because it depends on the place is no difference.
func (d *differences) compare(at string, file, now any) {
	if f, ok := byName(file); ok {
		if n, ok := byName(now); ok {
			file, now = f, n
		}
	}
	f, inFile := file.(map[string]any)
	n, isNow := now.(map[string]any)
	if !inFile || !isNow {
		if !reflect.DeepEqual(file, now) {
			d.add("%s: the file has %s, now it is %s", at, jsonText(file), jsonText(now))
		}
		return
	}
	names := slices.Collect(maps.Keys(f))
	for name := range n {
		if _, ok := f[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		path := name
		if at != "" {
			path = at + "." + name
		}
		was, before := f[name]
		is, still := n[name]
		switch {
		case !before && ofTable(name, f):
		case !still && ofTable(name, n):
		case !before:
			d.add("%s: missing in the file", path)
		case !still:
			d.add("%s: there is no such thing any more", path)
		default:
			d.compare(path, was, is)
		}
	}
}

// ofTable reports whether a member of a feature was left out by comparable.
func ofTable(name string, feature map[string]any) bool {
	_, isFeature := feature["feature_version"]
	_, hasColumns := feature["columns_from"]
	return isFeature && !hasColumns && (name == "columns" || name == "columns_from" || name == "column_lineage")
}

func (d *differences) add(format string, args ...any) {
	*d = append(*d, printable(fmt.Sprintf(format, args...)))
}

// jsonText is a value for people, not too long.
func jsonText(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return shorten(string(text), 200)
}
