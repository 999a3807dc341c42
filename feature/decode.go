package feature

import "fmt"

// UnmarshalJSON reads a spec in Metaxy's shape, with every short form that Metaxy accepts. It refuses members that
// Metaxy does not know, wrong types and broken rules; the error joins one *[FeatureError] for every problem.
func (s *Spec) UnmarshalJSON(data []byte) error {
	v, err := parseTree(data)
	if err != nil {
		return &FeatureError{Err: fmt.Errorf("%w: %w", ErrSpec, err)}
	}
	d := &decoder{}
	read := d.spec(v)
	if len(d.problems) == 0 {
		d.problems = read.problems()
	}
	if len(d.problems) > 0 {
		for _, p := range d.problems {
			p.Feature = read.Key
		}
		return joinProblems(d.problems)
	}
	*s = read
	return nil
}

func (d *decoder) spec(v any) Spec {
	o, ok := d.object("", v, "key", "id_columns", "deps", "fields", "metadata", "description")
	if !ok {
		return Spec{}
	}
	s := Spec{}
	if v, ok := d.required("", o, "key"); ok {
		s.Key = d.key("key", v)
	}
	if v, ok := d.required("", o, "id_columns"); ok {
		s.IDColumns = d.idColumns(v)
	}
	if v, ok := o.get("deps"); ok {
		s.Deps = decodeList(d, "deps", v, d.dep)
	}
	if v, ok := o.get("fields"); ok {
		s.Fields = decodeList(d, "fields", v, d.field)
	}
	if v, ok := o.get("metadata"); ok {
		s.Metadata = d.metadata(v)
	}
	if v, ok := o.get("description"); ok && v != nil {
		s.Description, s.described = d.string("description", v), true
	}
	return s
}

// idColumns reads a list of names. Metaxy takes a bare string for the list of its characters, so that "id" means the
// columns "i" and "d"; versions are shared with it only by doing the same.
func (d *decoder) idColumns(v any) []string {
	s, ok := v.(string)
	if !ok {
		return d.strings("id_columns", v)
	}
	columns := []string{}
	for _, r := range s {
		columns = append(columns, string(r))
	}
	return columns
}

func (d *decoder) metadata(v any) map[string]any {
	o, ok := d.object("metadata", v)
	if !ok {
		return nil
	}
	return plain(o).(map[string]any)
}

func (d *decoder) field(path string, v any) Field {
	if name, ok := v.(string); ok {
		return Field{Key: d.partedKey(path, name)}
	}
	f := Field{}
	o, ok := d.object(path, v, "key", "code_version", "deps")
	if !ok {
		return f
	}
	if v, ok := o.get("key"); ok {
		f.Key = d.partedKey(path+".key", v)
	}
	if v, ok := o.get("code_version"); ok {
		f.CodeVersion, f.versioned = d.string(path+".code_version", v), true
	}
	if v, ok := o.get("deps"); ok {
		f.Deps = d.fieldDeps(path+".deps", v)
	}
	return f
}

func (d *decoder) fieldDeps(path string, v any) FieldDeps {
	switch v := v.(type) {
	case string:
		if v == allMarker {
			return FieldDeps{All: true}
		}
	case []any:
		return FieldDeps{On: decodeList(d, path, v, d.fieldDep)}
	}
	d.fail(path, "expected %q or a list of {\"feature\": ..., \"fields\": ...}, got %s", allMarker, describe(v))
	return FieldDeps{}
}

func (d *decoder) fieldDep(path string, v any) FieldDep {
	dep := FieldDep{}
	o, ok := d.object(path, v, "feature", "fields")
	if !ok {
		return dep
	}
	if v, ok := d.required(path, o, "feature"); ok {
		dep.Feature = d.key(path+".feature", v)
	}
	v, ok = o.get("fields")
	if !ok || v == allMarker {
		return dep
	}
	if _, isList := v.([]any); !isList {
		d.fail(path+".fields", "expected %q or a list of fields, got %s", allMarker, describe(v))
		return dep
	}
	dep.Fields = decodeList(d, path+".fields", v, d.key)
	return dep
}
