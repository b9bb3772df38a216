// The gate writes this: see prebuilt.rs.
&[]
