package feature

import (
	"encoding"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"time"
)

// pythonTime is how Metaxy writes times: microseconds, if there are any, in six digits.
const pythonTime = "2006-01-02T15:04:05.000000Z07:00"

// normal returns a copy of a metadata value that consists only of nil, bool, string, json.Number, []any and
// map[string]any. NaN and the infinities become nil, as in Metaxy. The error begins with the path to the value.
func normal(v any, depth int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf(" is nested deeper than %d; is it part of itself?", maxDepth)
	}
	switch v := v.(type) {
	case nil, bool, string:
		return v, nil
	case json.Number:
		return normalNumber(v)
	case float64:
		return normalFloat(v), nil
	case time.Time:
		if v.Nanosecond()/1000 == 0 {
			return v.Format(time.RFC3339), nil
		}
		return v.Format(pythonTime), nil
	case json.Marshaler, encoding.TextMarshaler:
		return normalMarshaled(v)
	}
	return normalKind(reflect.ValueOf(v), depth)
}

func normalKind(v reflect.Value, depth int) (any, error) {
	switch v.Kind() {
	case reflect.Bool:
		return v.Bool(), nil
	case reflect.String:
		return v.String(), nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return json.Number(strconv.FormatInt(v.Int(), 10)), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return json.Number(strconv.FormatUint(v.Uint(), 10)), nil
	case reflect.Float32, reflect.Float64:
		return normalFloat(v.Float()), nil
	case reflect.Pointer:
		if v.IsNil() {
			return nil, nil
		}
		return normal(v.Elem().Interface(), depth+1)
	case reflect.Slice, reflect.Array:
		return normalList(v, depth)
	case reflect.Map:
		return normalMap(v, depth)
	case reflect.Struct:
		return normalMarshaled(v.Interface())
	}
	return nil, fmt.Errorf(" is a %s, which has no JSON form", v.Type())
}

func normalList(v reflect.Value, depth int) (any, error) {
	list := make([]any, v.Len())
	for i := range list {
		item, err := normal(v.Index(i).Interface(), depth+1)
		if err != nil {
			return nil, fmt.Errorf("[%d]%w", i, err)
		}
		list[i] = item
	}
	return list, nil
}

func normalMap(v reflect.Value, depth int) (any, error) {
	if v.Type().Key().Kind() != reflect.String {
		return nil, fmt.Errorf(" is a %s; its keys must be strings", v.Type())
	}
	m := make(map[string]any, v.Len())
	for name, value := range v.Seq2() {
		item, err := normal(value.Interface(), depth+1)
		if err != nil {
			return nil, fmt.Errorf("[%q]%w", name.String(), err)
		}
		m[name.String()] = item
	}
	return m, nil
}

func normalFloat(f float64) any {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return nil
	}
	return json.Number(pythonFloat(f))
}

func normalNumber(n json.Number) (any, error) {
	tree, err := parseTree([]byte(n))
	if number, ok := tree.(json.Number); err == nil && ok && number == n {
		return n, nil
	}
	return nil, fmt.Errorf(" is the json.Number %q, which is not a number", n)
}

// normalMarshaled asks a value for its own JSON.
func normalMarshaled(v any) (any, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf(": %w", err)
	}
	tree, err := parseTree(data)
	if err != nil {
		return nil, fmt.Errorf(": %w", err)
	}
	return plain(tree), nil
}

// plain returns a parsed value with maps in place of ordered objects.
func plain(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
	case object:
		m := make(map[string]any, len(v))
		for _, member := range v {
			m[member.name] = plain(member.value)
		}
		return m
	}
	return v
}
