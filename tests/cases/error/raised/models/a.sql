{{ exceptions.raise_compiler_error('size must be given') }}
