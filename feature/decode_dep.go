package feature

import (
	"maps"
	"slices"
)

// dep reads a dependency: an object, or just the parent's key as a string or a list of parts.
func (d *decoder) dep(path string, v any) Dep {
	dep := Dep{}
	if _, isObject := v.(object); !isObject {
		dep.Feature = d.key(path, v)
		return dep
	}
	o, ok := d.object(path, v,
		"feature", "select", "rename", "fields_mapping", "sql_filters", "filters", "lineage", "optional")
	if !ok {
		return dep
	}
	if v, ok := d.required(path, o, "feature"); ok {
		dep.Feature = d.key(path+".feature", v)
	}
	if v, ok := o.get("select"); ok && v != nil {
		dep.Select = d.strings(path+".select", v)
	}
	if v, ok := o.get("rename"); ok && v != nil {
		dep.Rename = d.rename(path+".rename", v)
	}
	if v, ok := o.get("optional"); ok {
		dep.Optional = d.bool(path+".optional", v)
	}
	if v, ok := o.get("lineage"); ok {
		dep.Lineage = d.lineage(path+".lineage", v)
	}
	if v, ok := o.get("fields_mapping"); ok {
		dep.Mapping = d.mapping(path+".fields_mapping", v)
	}
	dep.Filters = d.filters(path, o)
	return dep
}

func (d *decoder) filters(path string, o object) []string {
	short, hasShort := o.get("filters")
	long, hasLong := o.get("sql_filters")
	switch {
	case hasShort && hasLong:
		d.fail(path+".sql_filters", `stands beside "filters", which is another name for it; keep one of them`)
	case hasShort && short != nil:
		return d.strings(path+".filters", short)
	case hasLong && long != nil:
		return d.strings(path+".sql_filters", long)
	}
	return nil
}

func (d *decoder) rename(path string, v any) map[string]string {
	o, ok := d.object(path, v)
	if !ok {
		return nil
	}
	rename := make(map[string]string, len(o))
	for _, m := range o {
		rename[m.name] = d.string(path, m.value)
	}
	return rename
}

// tagged returns the object that a wrapper such as {"mapping": {"type": ...}} holds, and its type. Metaxy ignores
// members that it does not know in both.
func (d *decoder) tagged(path, wrapper string, v any, types ...string) (object, string) {
	outer, ok := d.object(path, v)
	if !ok {
		return nil, ""
	}
	inner, ok := d.required(path, outer, wrapper)
	if !ok {
		return nil, ""
	}
	path += "." + wrapper
	o, ok := d.object(path, inner)
	if !ok {
		return nil, ""
	}
	tag, ok := d.required(path, o, "type")
	if !ok {
		return nil, ""
	}
	name, _ := tag.(string)
	if !slices.Contains(types, name) {
		d.fail(path+".type", "expected one of %q, got %s", types, describe(tag))
		return nil, ""
	}
	return o, name
}

func (d *decoder) lineage(path string, v any) Lineage {
	o, kind := d.tagged(path, "relationship", v, "1:1", "N:1", "1:N")
	path += ".relationship"
	l := Lineage{}
	switch kind {
	case "N:1":
		l.Kind = ManyToOne
		if v, ok := o.get("on"); ok && v != nil {
			l.On = d.strings(path+".on", v)
		}
	case "1:N":
		l.Kind = OneToMany
		if v, ok := d.required(path, o, "on"); ok {
			l.On = d.strings(path+".on", v)
		}
		if v, ok := o.get("id_generation_pattern"); ok && v != nil {
			l.IDGenerationPattern, l.patterned = d.string(path+".id_generation_pattern", v), true
		}
	}
	return l
}

func (d *decoder) mapping(path string, v any) Mapping {
	o, kind := d.tagged(path, "mapping", v, "default", "specific", "all", "none")
	path += ".mapping"
	switch kind {
	case "default":
		return d.defaultMapping(path, o)
	case "specific":
		return d.specificMapping(path, o)
	case "all":
		return Mapping{Kind: MapAll}
	case "none":
		return Mapping{Kind: MapNone}
	}
	return Mapping{}
}

func (d *decoder) defaultMapping(path string, o object) Mapping {
	m := Mapping{}
	if v, ok := o.get("match_suffix"); ok {
		m.MatchSuffix = d.bool(path+".match_suffix", v)
	}
	if v, ok := o.get("exclude_fields"); ok {
		m.Exclude = decodeList(d, path+".exclude_fields", v, d.key)
	}
	return m
}

func (d *decoder) specificMapping(path string, o object) Mapping {
	m := Mapping{Kind: MapSpecific, Fields: map[Key][]Key{}}
	v, ok := d.required(path, o, "mapping")
	if !ok {
		return m
	}
	path += ".mapping"
	fields, _ := d.object(path, v)
	for _, f := range fields {
		parents := map[Key]bool{}
		for _, parent := range decodeList(d, path, f.value, d.key) {
			parents[parent] = true
		}
		m.Fields[d.key(path, f.name)] = slices.SortedFunc(maps.Keys(parents), Key.Compare)
	}
	return m
}
