package feature

import "encoding/json"

func (f *Feature) Key() Key                      { panic("unfinished") }
func (f *Feature) Spec() *Spec                   { panic("unfinished") }
func (f *Feature) Schema() json.RawMessage       { panic("unfinished") }
func (f *Feature) Project() string               { panic("unfinished") }
func (f *Feature) External() bool                { panic("unfinished") }
func (f *Feature) Root() bool                    { panic("unfinished") }
func (f *Feature) Version() string               { panic("unfinished") }
func (f *Feature) CodeVersion() string           { panic("unfinished") }
func (f *Feature) SpecVersion() string           { panic("unfinished") }
func (f *Feature) DefinitionVersion() string     { panic("unfinished") }
func (f *Feature) FieldVersion(field Key) string { panic("unfinished") }
func (f *Feature) Parents() []Parent             { panic("unfinished") }
func (f *Feature) Inputs(field Key) []FieldRef   { panic("unfinished") }
func (f *Feature) CheckUse() error               { panic("unfinished") }
func (r FieldRef) String() string                { return string(r.Feature) + "." + string(r.Field) }
func (s *Spec) Canonical() (string, error)       { panic("unfinished") }
func (s Spec) MarshalJSON() ([]byte, error)      { panic("unfinished") }
func (s *Spec) UnmarshalJSON(data []byte) error  { panic("unfinished") }
