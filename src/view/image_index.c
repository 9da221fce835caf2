typedef int placeholder; /* replaced by the layer owner */
