package delta

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// A structType is the columns of a table, or the members of a struct column, as the log describes them.
type structType struct {
	Fields []field
}

// A field is a column.
type field struct {
	Name     string                     `json:"name"`
	Type     dataType                   `json:"type"`
	Nullable bool                       `json:"nullable"`
	Metadata map[string]json.RawMessage `json:"metadata"`
}

// A dataType is the type of a column. Exactly one of Name, Struct, Elem and Key is set.
type dataType struct {
	Name   string      // of a primitive type: "long", "decimal(10,2)"
	Struct *structType // members of a struct
	Elem   *dataType   // of an array
	Key    *dataType   // of a map
	Value  *dataType   // of a map
	Nulls  bool        // an array or map may hold nulls
}

// The JSON forms of the nested types.
type (
	structJSON struct {
		Type   string  `json:"type"`
		Fields []field `json:"fields"`
	}
	arrayJSON struct {
		Type         string    `json:"type"`
		ElementType  *dataType `json:"elementType"`
		ContainsNull bool      `json:"containsNull"`
	}
	mapJSON struct {
		Type              string    `json:"type"`
		KeyType           *dataType `json:"keyType"`
		ValueType         *dataType `json:"valueType"`
		ValueContainsNull bool      `json:"valueContainsNull"`
	}
)

// parseSchema reads the schemaString of a table.
func parseSchema(text string) (*structType, error) {
	var t dataType
	if err := json.Unmarshal([]byte(text), &t); err != nil {
		return nil, err
	}
	if t.Struct == nil {
		return nil, fmt.Errorf("the schema is a %s, not a struct", t.Name)
	}
	return t.Struct, nil
}

// String is the schemaString.
func (s *structType) String() string {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		panic(err) // texts, booleans and JSON that was decoded before
	}
	return string(bytes.TrimSuffix(out.Bytes(), []byte("\n")))
}

// MarshalJSON implements json.Marshaler.
func (s *structType) MarshalJSON() ([]byte, error) {
	fields := s.Fields
	if fields == nil {
		fields = []field{}
	}
	return marshal(structJSON{"struct", fields})
}

// MarshalJSON implements json.Marshaler.
func (t dataType) MarshalJSON() ([]byte, error) {
	switch {
	case t.Struct != nil:
		return marshal(t.Struct)
	case t.Elem != nil:
		return marshal(arrayJSON{"array", t.Elem, t.Nulls})
	case t.Key != nil:
		return marshal(mapJSON{"map", t.Key, t.Value, t.Nulls})
	}
	return marshal(t.Name)
}

// marshal is json.Marshal without escapes that only HTML needs.
func marshal(v any) ([]byte, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), err
}

// UnmarshalJSON implements json.Unmarshaler.
func (f *field) UnmarshalJSON(data []byte) error {
	type plain field
	p := plain{Nullable: true}
	if err := json.Unmarshal(data, &p); err != nil {
		return err
	}
	if p.Metadata == nil {
		p.Metadata = map[string]json.RawMessage{}
	}
	*f = field(p)
	if t := f.Type; t.Name == "" && t.Struct == nil && t.Elem == nil && t.Key == nil {
		return fmt.Errorf("column %q has no type", f.Name)
	}
	return nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (t *dataType) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		return json.Unmarshal(data, &t.Name)
	}
	var kind struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(data, &kind); err != nil {
		return err
	}
	switch kind.Type {
	case "struct":
		var s structJSON
		if err := json.Unmarshal(data, &s); err != nil {
			return err
		}
		*t = dataType{Struct: &structType{s.Fields}}
	case "array":
		a := arrayJSON{ContainsNull: true}
		if err := json.Unmarshal(data, &a); err != nil {
			return err
		}
		if a.ElementType == nil {
			return fmt.Errorf("array without elementType")
		}
		*t = dataType{Elem: a.ElementType, Nulls: a.ContainsNull}
	case "map":
		m := mapJSON{ValueContainsNull: true}
		if err := json.Unmarshal(data, &m); err != nil {
			return err
		}
		if m.KeyType == nil || m.ValueType == nil {
			return fmt.Errorf("map without keyType or valueType")
		}
		*t = dataType{Key: m.KeyType, Value: m.ValueType, Nulls: m.ValueContainsNull}
	default:
		return fmt.Errorf("unknown type %q", kind.Type)
	}
	return nil
}
